#!/usr/bin/env bash
# Four accounts, and their roles. A part of infra/bootstrap.sh; infra/README.md lists the roles.
#
#   PROJECT_ID=… BUCKET=… [SOURCE_BUCKETS="a b"] infra/setup/accounts.sh
source "$(dirname "$0")/../steps.sh"
need PROJECT_ID BUCKET
domain=$PROJECT_ID.iam.gserviceaccount.com

account() {
  has gcloud iam service-accounts describe "$1@$domain" --project="$PROJECT_ID" ||
    run gcloud iam service-accounts create "$1" --project="$PROJECT_ID" --display-name="$2"
}
on_bucket() {
  run gcloud storage buckets add-iam-policy-binding "gs://$1" \
    --member="serviceAccount:$2@$domain" --role="roles/$3"
}
on_project() {
  run gcloud projects add-iam-policy-binding "$PROJECT_ID" --condition=None \
    --member="serviceAccount:$1@$domain" --role="roles/$2"
}

account lookalike "Lookalike: answers"
account lookalike-build "Lookalike: builds the image"
account lookalike-deploy "Lookalike: deploys"
account lookalike-train "Lookalike: trains and publishes"

for one in "$BUCKET" ${SOURCE_BUCKETS:-}; do
  on_bucket "$one" lookalike storage.objectViewer
done
on_project lookalike-build run.builder
on_project lookalike-deploy run.sourceDeveloper
on_project lookalike-deploy serviceusage.serviceUsageConsumer
on_project lookalike-deploy logging.logWriter
run gcloud iam service-accounts add-iam-policy-binding "lookalike@$domain" \
  --project="$PROJECT_ID" --member="serviceAccount:lookalike-deploy@$domain" \
  --role=roles/iam.serviceAccountUser
# The smoke test compares answers with the release.
on_bucket "$BUCKET" lookalike-deploy storage.objectViewer
on_bucket "$BUCKET" lookalike-train storage.objectUser
on_project lookalike-train logging.logWriter
