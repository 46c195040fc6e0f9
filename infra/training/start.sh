#!/usr/bin/env bash
# What a training machine does at each start: install from the lock, train or go on training, keep
# the log beside the run. Its metadata say what: run, catalog, extra, options.
set -euo pipefail

metadata() {
  curl -fsS -H 'Metadata-Flavor: Google' \
    "http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance/attributes/$1"
}
run=$(metadata run)
catalog=$(metadata catalog)
extra=$(metadata extra)
read -r -a options <<<"$(metadata options)"
place=${LOOKALIKE_PLACE:-/opt/lookalike}
log=$place/training.log

mkdir -p "$place/source"
exec > >(tee -a "$log") 2>&1
keep_log() { gcloud storage cp "$log" "$run/logs/$(hostname).log" --quiet 2>/dev/null || true; }
while sleep 60; do keep_log; done >/dev/null 2>&1 &
keeping=$!
trap 'kill "$keeping"; keep_log' EXIT

cd "$place/source"
gcloud storage cp "$run/source.tar.gz" - | tar -xz
if ! { command -v make && python3 -m pip --version; } >/dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y make python3-pip
fi
make setup EXTRAS="$extra"

# A unit of its own is told to stop before the network goes: it saves a checkpoint in the half
# minute that a spot machine has.
status=0
systemd-run --unit=lookalike-training --collect --wait --pipe \
  --property=After=network-online.target --property=TimeoutStopSec=25 \
  --working-directory="$PWD" --setenv=HOME="$place" \
  .venv/bin/lookalike train --catalog "$catalog" --run "$run" --restarts 10 "${options[@]}" ||
  status=$?
echo "Training ended with status $status."
# A machine with a GPU that has nothing to do stops, and costs a disk; the minute is for the log. A
# TPU slice is deleted by hand.
[[ $extra != cuda ]] || shutdown -h +1
exit "$status"
