#!/usr/bin/env bash
# Sends all traffic to the revision with a tag, once `lookalike smoke` has passed there, and takes
# the tag away.
#
#   PROJECT_ID=… REGION=… infra/traffic.sh
#
#   SERVICE          the Cloud Run service (lookalike)
#   TAG              the revision's tag (candidate)
#   DRY_RUN=1        only print the commands; YES=1: do not ask
source "$(dirname "$0")/steps.sh"
need PROJECT_ID REGION
SERVICE=${SERVICE:-lookalike} TAG=${TAG:-candidate}
place=(--project="$PROJECT_ID" --region="$REGION")
confirm "Sends all traffic of $SERVICE to the revision tagged $TAG."

run gcloud run services update-traffic "$SERVICE" --quiet "${place[@]}" --to-tags="$TAG=100"
run gcloud run services update-traffic "$SERVICE" --quiet "${place[@]}" --remove-tags="$TAG"
