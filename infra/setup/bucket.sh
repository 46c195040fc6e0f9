#!/usr/bin/env bash
# The bucket of releases and runs: no access by object, nothing public, old versions kept for a
# while. A part of infra/bootstrap.sh.
#
#   PROJECT_ID=… REGION=… BUCKET=… infra/setup/bucket.sh
source "$(dirname "$0")/../steps.sh"
need PROJECT_ID REGION BUCKET
confirm "Sets up gs://$BUCKET; stored bytes cost money."

has gcloud storage buckets describe "gs://$BUCKET" --project="$PROJECT_ID" ||
  run gcloud storage buckets create "gs://$BUCKET" --project="$PROJECT_ID" --location="$REGION" \
    --uniform-bucket-level-access --public-access-prevention
run gcloud storage buckets update "gs://$BUCKET" --project="$PROJECT_ID" --versioning \
  --lifecycle-file=infra/storage/lifecycle.json --cors-file=infra/storage/cors.json
