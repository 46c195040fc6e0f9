#!/usr/bin/env bash
# Takes away what bootstrap.sh, deploy.sh and the launch scripts made. Safe to run again: what is gone
# is passed over. The bucket with its releases and runs stays, unless DELETE_BUCKET=1.
#
#   PROJECT_ID=… REGION=… BUCKET=… BILLING_ACCOUNT=… infra/teardown.sh
#
#   RUN              the run whose machine and slice go (training)
#   ZONE, TPU_ZONE   where they are (REGION-b, REGION-a)
#   DRY_RUN=1        only print the commands; YES=1: do not ask
source "$(dirname "$0")/steps.sh"
need PROJECT_ID REGION BUCKET BILLING_ACCOUNT
RUN=${RUN:-training} ZONE=${ZONE:-$REGION-b} TPU_ZONE=${TPU_ZONE:-$REGION-a}
project=--project=$PROJECT_ID
domain=$PROJECT_ID.iam.gserviceaccount.com
if is_dry; then DELETE_BUCKET=${DELETE_BUCKET:-1}; fi
with_bucket=''
[[ ${DELETE_BUCKET:-0} != 1 ]] || with_bucket=" and every release and run in gs://$BUCKET"
confirm "Deletes the service, machines, accounts and alerts of $PROJECT_ID$with_bucket. Nothing of it comes back."

# gone GROUP… NAME FLAG…: `describe` tells whether there is something to `delete`.
gone() {
  local group=()
  while [[ $1 != -- ]]; do group+=("$1") && shift; done
  shift
  lacks gcloud "${group[@]}" describe "$@" || run gcloud "${group[@]}" delete "$@" --quiet
}
# all_named LIST… -- DELETE…: each that the list prints.
all_named() {
  local list=() name
  while [[ $1 != -- ]]; do list+=("$1") && shift; done
  shift
  ask "${list[@]}" --format='value(name)'
  if is_dry; then answer=NAME; fi
  for name in $answer; do run "$@" "$name" --quiet; done
}

gone compute instances -- "lookalike-$RUN" "$project" --zone="$ZONE"
lacks gcloud compute tpus queued-resources describe "lookalike-$RUN" "$project" --zone="$TPU_ZONE" ||
  run gcloud compute tpus queued-resources delete "lookalike-$RUN" "$project" --zone="$TPU_ZONE" --force --quiet
gone builds triggers -- lookalike "$project" --region="$REGION"
gone builds connections -- lookalike "$project" --region="$REGION"
gone run services -- lookalike "$project" --region="$REGION"
gone artifacts repositories -- cloud-run-source-deploy "$project" --location="$REGION"
all_named gcloud alpha monitoring policies list "$project" --filter='displayName:"Lookalike: "' -- \
  gcloud alpha monitoring policies delete "$project"
all_named gcloud monitoring dashboards list "$project" --filter='displayName="Lookalike"' -- \
  gcloud monitoring dashboards delete "$project"
for file in infra/monitoring/metrics/*.json; do
  gone logging metrics -- "$(basename "$file" .json)" "$project"
done
all_named gcloud billing budgets list --billing-account="$BILLING_ACCOUNT" \
  --filter="displayName=\"Lookalike $PROJECT_ID\"" -- gcloud billing budgets delete
for account in lookalike lookalike-build lookalike-deploy lookalike-train; do
  gone iam service-accounts -- "$account@$domain" "$project"
done
if [[ ${DELETE_BUCKET:-0} == 1 ]]; then
  lacks gcloud storage buckets describe "gs://$BUCKET" "$project" ||
    run gcloud storage rm "gs://$BUCKET" --recursive --all-versions "$project" --quiet
fi
