#!/usr/bin/env bash
# Trains on a spot machine with a GPU. Run it again at any time: it starts a machine that was taken
# away, and the training goes on from its last checkpoint. The machine stops itself at the end.
#
#   PROJECT_ID=… REGION=… BUCKET=… RUN=first CATALOG=gs://… infra/launch_gpu.sh [OPTIONS OF TRAIN]
#
#   RUN              the run, kept in gs://BUCKET/runs/RUN with its log (training)
#   CATALOG          the photos (gs://BUCKET/catalog)
#   ZONE             where (REGION-b); MACHINE: the kind (g2-standard-8, one L4)
#   HOURS            after so many the machine is stopped whatever it does (24)
#   DRY_RUN=1        only print the commands; YES=1: do not ask
source "$(dirname "$0")/steps.sh"
need PROJECT_ID REGION BUCKET
RUN=${RUN:-training} ZONE=${ZONE:-$REGION-b} MACHINE=${MACHINE:-g2-standard-8} HOURS=${HOURS:-24}
machine=(--project="$PROJECT_ID" --zone="$ZONE")
source infra/training/source.sh
confirm "Starts a spot $MACHINE in $ZONE for $HOURS hours at most; it costs money until it stops."

run gcloud services enable compute.googleapis.com --project="$PROJECT_ID"
upload_source
ask gcloud compute instances list --project="$PROJECT_ID" --zones="$ZONE" \
  --filter="name=lookalike-$RUN" --format='value(status)'
case $answer in
  '')
    # The driver of this image is new enough for CUDA 13.
    run gcloud compute instances create "lookalike-$RUN" "${machine[@]}" \
      --machine-type="$MACHINE" --provisioning-model=SPOT --instance-termination-action=STOP \
      --maintenance-policy=TERMINATE --max-run-duration="${HOURS}h" \
      --image-project=ubuntu-os-accelerator-images \
      --image-family=ubuntu-accelerator-2404-amd64-with-nvidia-580 \
      --boot-disk-size=200GB --boot-disk-type=pd-balanced --labels=app=lookalike \
      --service-account="$trainer" --scopes=cloud-platform \
      --metadata="$(metadata cuda "$@")" --metadata-from-file=startup-script=infra/training/start.sh
    ;;
  TERMINATED | STOPPED | SUSPENDED) run gcloud compute instances start "lookalike-$RUN" "${machine[@]}" ;;
  *) echo "lookalike-$RUN is $answer already." >&2 ;;
esac
told
