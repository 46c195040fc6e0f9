#!/usr/bin/env bash
# Puts function/ on Cloud Run as a revision with a tag and an address of its own, and no traffic:
# infra/traffic.sh sends it that. Prints the address, for `lookalike smoke --url`. The first
# revision of a service gets the traffic at once, for there is no other.
#
#   PROJECT_ID=… REGION=… BUCKET=… infra/deploy.sh
#
#   ROOT             where the releases are (gs://$BUCKET)
#   SERVICE          the Cloud Run service (lookalike)
#   TAG              the revision's tag (candidate)
#   ACCOUNT          the function's service account (SERVICE@PROJECT_ID.iam.gserviceaccount.com)
#   BUILD_ACCOUNT    the account that builds the image (SERVICE-build@…)
#   CPU, MEMORY      of one instance (2, 2Gi); the release's files count against the memory
#   CONCURRENCY      requests at a time in one instance, and its threads (24)
#   MIN, MAX         instances: least, also without traffic (0); most (10)
#   CORS_ORIGINS     origins whose pages may call the API, separated by commas (as it is)
#   API_KEYS         the secret with the access keys; from then on only they open the function
#   DRY_RUN=1        only print the commands; YES=1: do not ask
source "$(dirname "$0")/steps.sh"
need PROJECT_ID REGION
ROOT=${ROOT:-${BUCKET:+gs://$BUCKET}} SERVICE=${SERVICE:-lookalike} TAG=${TAG:-candidate}
CONCURRENCY=${CONCURRENCY:-24}
[[ $ROOT == gs://?* ]] || fail "ROOT or BUCKET: expected gs://BUCKET or gs://BUCKET/PREFIX; found '$ROOT'."
domain=$PROJECT_ID.iam.gserviceaccount.com
keys_file=/secrets/lookalike/keys
place=(--project="$PROJECT_ID" --region="$REGION")
confirm "Builds an image and deploys $SERVICE in $PROJECT_ID; builds, images and answers cost money."

# A list, for that fails where it cannot be had; nothing is promised of a service that only seems new.
ask gcloud run services list "${place[@]}" --filter="metadata.name=$SERVICE" \
  --format='value(status.latestReadyRevisionName)'
is_dry && answer=SERVES
serves=$answer

# A new service is closed: who may call it is said once, by hand (infra/README.md).
# The default startup probe passes when the server listens; this one, when a release is loaded:
# 120 times 2 s are the four minutes that Cloud Run allows; an instance takes 1 to 2 s from a bucket.
# The boost doubles the processors while it loads.
# Two processors answer 67 photos a second; 24 threads are their searches, 16 that wait, 6 spare.
# An instance takes 463 MB with 60,502 rows of 512, its downloaded files included: 2Gi leave room
# for loading the next release beside it, or for two photos at once that take the 850 MB that one
# may. Where all of it comes together, decoders are the first that the system ends.
# A search ends after 8 s; 60 s leave 52 for a slow upload.
# Origins and keys that are not given stay as they are, for a push knows none.
# A mounted secret is read anew each time, so its latest version needs no new revision.
# ^|^ makes | the separator of the variables: a list of origins has commas of its own.
run gcloud run deploy "$SERVICE" --quiet "${place[@]}" \
  --source=function \
  --function=lookalike \
  --base-image=python312 \
  ${serves:+--no-traffic} \
  --tag="$TAG" \
  --service-account="${ACCOUNT:-$SERVICE@$domain}" \
  --build-service-account="projects/$PROJECT_ID/serviceAccounts/${BUILD_ACCOUNT:-$SERVICE-build@$domain}" \
  --startup-probe=httpGet.path=/health/ready,periodSeconds=2,timeoutSeconds=2,failureThreshold=120 \
  --cpu="${CPU:-2}" \
  --memory="${MEMORY:-2Gi}" \
  --cpu-boost \
  --execution-environment=gen2 \
  --concurrency="$CONCURRENCY" \
  --min="${MIN:-0}" \
  --max-instances="${MAX:-10}" \
  --timeout=60 \
  ${API_KEYS:+--update-secrets="$keys_file=$API_KEYS:latest"} \
  --update-env-vars="^|^LOOKALIKE_ROOT=$ROOT|THREADS=$CONCURRENCY${CORS_ORIGINS:+|LOOKALIKE_CORS_ORIGINS=$CORS_ORIGINS}${API_KEYS:+|LOOKALIKE_API_KEYS=$keys_file}"

if [[ ! $serves ]]; then
  echo "$SERVICE is new, and closed: infra/README.md says how to let callers in." >&2
  exit
fi
ask gcloud run services describe "$SERVICE" "${place[@]}" \
  --format="value(status.traffic.filter(\"tag:$TAG\").extract(\"url\").flatten())"
is_dry || echo "$answer"
