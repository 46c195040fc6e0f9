#!/usr/bin/env bash
# Asks for a spot TPU slice and trains on it: a queued resource, which waits until there is one. Run
# it again at any time: a slice that was taken away is asked for anew, and the training goes on from
# its last checkpoint. A slice does not end itself: infra/teardown.sh, or the last line, does.
#
#   PROJECT_ID=… REGION=… BUCKET=… RUN=first CATALOG=gs://… infra/launch_tpu.sh [OPTIONS OF TRAIN]
#
#   RUN              the run, kept in gs://BUCKET/runs/RUN with its log (training)
#   CATALOG          the photos (gs://BUCKET/catalog)
#   ZONE             where (REGION-a); SLICE, RUNTIME: what (v6e-8, v2-alpha-tpuv6e)
#   HOURS            how long the request may wait (6)
#   DRY_RUN=1        only print the commands; YES=1: do not ask
source "$(dirname "$0")/steps.sh"
need PROJECT_ID REGION BUCKET
RUN=${RUN:-training} ZONE=${ZONE:-$REGION-a} HOURS=${HOURS:-6}
SLICE=${SLICE:-v6e-8} RUNTIME=${RUNTIME:-v2-alpha-tpuv6e}
slice=("lookalike-$RUN" --project="$PROJECT_ID" --zone="$ZONE")
source infra/training/source.sh
confirm "Asks for a spot $SLICE in $ZONE; it costs money from the moment it is there until it is deleted."

run gcloud services enable tpu.googleapis.com --project="$PROJECT_ID"
upload_source
ask gcloud compute tpus queued-resources list --project="$PROJECT_ID" --zone="$ZONE" \
  --filter="name~/lookalike-$RUN\$" --format='value(state.state)'
if [[ $answer == SUSPENDED || $answer == FAILED ]]; then
  run gcloud compute tpus queued-resources delete "${slice[@]}" --force --quiet
  answer=''
fi
if [[ $answer ]]; then
  echo "lookalike-$RUN is $answer already." >&2
else
  run gcloud compute tpus queued-resources create "${slice[@]}" \
    --node-id="lookalike-$RUN" --accelerator-type="$SLICE" --runtime-version="$RUNTIME" --spot \
    --valid-until-duration="${HOURS}h" --labels=app=lookalike --service-account="$trainer" \
    --metadata="$(metadata tpu "$@")" --metadata-from-file=startup-script=infra/training/start.sh
fi
told
show "At the end:" gcloud compute tpus queued-resources delete "${slice[@]}" --force >&2
