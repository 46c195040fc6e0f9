#!/usr/bin/env bash
# Sets up a project once, as its owner: services, bucket, images, accounts and their roles, the
# push trigger, alerts, dashboard, budget. Safe to run again: what is there stays.
#
#   PROJECT_ID=… REGION=… BUCKET=… BILLING_ACCOUNT=… infra/bootstrap.sh
#
#   BUDGET           what a month may cost before mails are sent, in the account's currency (100)
#   ALERT_EMAIL      who is told of alerts (nobody)
#   REPOSITORY       https://github.com/OWNER/NAME.git; without it there is no push trigger
#   GITHUB_APP       number of the Cloud Build GitHub App's installation
#   SOURCE_BUCKETS   buckets that image.source.imageUri may read from, separated by blanks (none)
#   DRY_RUN=1        only print the commands
source "$(dirname "$0")/steps.sh"
need PROJECT_ID REGION BUCKET BILLING_ACCOUNT
BUDGET=${BUDGET:-100}

confirm "$PROJECT_ID gets a bucket, a registry of images, accounts and alerts: their bytes and log metrics cost a little."
export YES=1

# Secret Manager holds the repository's token, and the access keys if there are any.
run gcloud services enable --project="$PROJECT_ID" \
  run.googleapis.com cloudbuild.googleapis.com artifactregistry.googleapis.com iam.googleapis.com \
  storage.googleapis.com secretmanager.googleapis.com logging.googleapis.com \
  monitoring.googleapis.com billingbudgets.googleapis.com
infra/setup/bucket.sh
infra/setup/images.sh
infra/setup/accounts.sh
infra/setup/builds.sh
infra/setup/monitoring.sh

ask gcloud billing budgets list --billing-account="$BILLING_ACCOUNT" \
  --filter="displayName=\"Lookalike $PROJECT_ID\"" --format='value(name)'
[[ $answer ]] || run gcloud billing budgets create --billing-account="$BILLING_ACCOUNT" \
  --display-name="Lookalike $PROJECT_ID" --budget-amount="$BUDGET" \
  --filter-projects="projects/$PROJECT_ID" --threshold-rule=percent=0.5 \
  --threshold-rule=percent=0.9 --threshold-rule=percent=1.0,basis=forecasted-spend
