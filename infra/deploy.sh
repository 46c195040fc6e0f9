#!/usr/bin/env bash
# Deploys function/ as a Cloud Run function. Needs gcloud, logged in as the deployer of infra/README.md.
set -euo pipefail

usage() {
  cat <<'HELP'
Deploy the function, to serve the current release of a root.

usage: infra/deploy.sh --project ID --region REGION --root gs://BUCKET[/PREFIX] [options]

  --service NAME          the Cloud Run service (lookalike)
  --account EMAIL         the function's service account (NAME@ID.iam.gserviceaccount.com)
  --build-account EMAIL   the account that builds the image (NAME-build@ID.iam.gserviceaccount.com)
  --concurrency N         requests at a time in one instance, and its threads (24)
  --cpu N                 processors of one instance (2)
  --memory SIZE           memory of one instance; the release's files count against it (2Gi)
  --max-instances N       most instances at a time (10)
  --cors-origins LIST     origins whose pages may call the API, separated by commas (none)
  --api-keys SECRET       the secret with the access keys; from then on only they open the function
  --help                  this text
HELP
}

fail() {
  echo "$1 See infra/deploy.sh --help." >&2
  exit 2
}

project='' region='' root='' service=lookalike account='' build_account=''
concurrency=24 cpu=2 memory=2Gi max_instances=10 cors_origins='' api_keys=''
keys_file=/secrets/lookalike/keys

while (($#)); do
  [[ $1 == --help ]] && usage && exit
  (($# > 1)) || fail "$1: expected a value after it."
  case $1 in
    --project) project=$2 ;;
    --region) region=$2 ;;
    --root) root=$2 ;;
    --service) service=$2 ;;
    --account) account=$2 ;;
    --build-account) build_account=$2 ;;
    --concurrency) concurrency=$2 ;;
    --cpu) cpu=$2 ;;
    --memory) memory=$2 ;;
    --max-instances) max_instances=$2 ;;
    --cors-origins) cors_origins=$2 ;;
    --api-keys) api_keys=$2 ;;
    *) fail "$1: no such option." ;;
  esac
  shift 2
done

[[ $project ]] || fail "--project is missing."
[[ $region ]] || fail "--region is missing."
[[ $root == gs://?* ]] || fail "--root: expected gs://BUCKET or gs://BUCKET/PREFIX; found '$root'."
domain=$project.iam.gserviceaccount.com

cd "$(dirname "$0")/.."

# A new service is closed: who may call it is said once, by hand (infra/README.md).
# The default startup probe passes when the server listens; this one, when a release is loaded:
# 120 times 2 s are the four minutes that Cloud Run allows.
# Origins and keys that are not given stay as they are, for a push knows none.
# A mounted secret is read anew each time, so its latest version needs no new revision.
# ^|^ makes | the separator of the variables: a list of origins has commas of its own.
exec gcloud run deploy "$service" \
  --quiet \
  --project="$project" \
  --region="$region" \
  --source=function \
  --function=lookalike \
  --base-image=python312 \
  --service-account="${account:-$service@$domain}" \
  --build-service-account="projects/$project/serviceAccounts/${build_account:-$service-build@$domain}" \
  --startup-probe=httpGet.path=/health/ready,periodSeconds=2,timeoutSeconds=2,failureThreshold=120 \
  --cpu="$cpu" \
  --memory="$memory" \
  --cpu-boost \
  --execution-environment=gen2 \
  --concurrency="$concurrency" \
  --max-instances="$max_instances" \
  --timeout=60 \
  ${api_keys:+--update-secrets="$keys_file=$api_keys:latest"} \
  --update-env-vars="^|^LOOKALIKE_ROOT=$root|THREADS=$concurrency${cors_origins:+|LOOKALIKE_CORS_ORIGINS=$cors_origins}${api_keys:+|LOOKALIKE_API_KEYS=$keys_file}"
