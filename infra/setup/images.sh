#!/usr/bin/env bash
# The registry where a deployment puts its images, under the name that gcloud looks for; the last
# twenty are kept, to roll back to. A part of infra/bootstrap.sh.
#
#   PROJECT_ID=… REGION=… infra/setup/images.sh
source "$(dirname "$0")/../steps.sh"
need PROJECT_ID REGION
confirm "Sets up the registry of images; stored bytes cost money."

registry=(cloud-run-source-deploy --project="$PROJECT_ID" --location="$REGION")
has gcloud artifacts repositories describe "${registry[@]}" ||
  run gcloud artifacts repositories create "${registry[@]}" --repository-format=docker
run gcloud artifacts repositories set-cleanup-policies "${registry[@]}" --no-dry-run \
  --policy=infra/storage/images.json
