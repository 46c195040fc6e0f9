#!/usr/bin/env bash
# The repository's connection, and the trigger that builds every push to main. A part of
# infra/bootstrap.sh. The secret lookalike-github holds a GitHub token (infra/README.md).
#
#   PROJECT_ID=… REGION=… BUCKET=… REPOSITORY=… GITHUB_APP=… infra/setup/builds.sh
source "$(dirname "$0")/../steps.sh"
need PROJECT_ID REGION BUCKET
if is_dry; then
  REPOSITORY=${REPOSITORY:-https://github.com/OWNER/REPOSITORY.git} GITHUB_APP=${GITHUB_APP:-12345678}
elif [[ ! ${REPOSITORY:-} ]]; then
  echo "REPOSITORY is not set: no push trigger." >&2
  exit
fi
need GITHUB_APP
place=(--project="$PROJECT_ID" --region="$REGION")
path=projects/$PROJECT_ID/locations/$REGION/connections/lookalike/repositories/lookalike
deployer=lookalike-deploy@$PROJECT_ID.iam.gserviceaccount.com

# Cloud Build's own account reads the token; a project has it once it is asked for.
run gcloud beta services identity create --service=cloudbuild.googleapis.com --project="$PROJECT_ID"
ask gcloud projects describe "$PROJECT_ID" --format='value(projectNumber)'
run gcloud secrets add-iam-policy-binding lookalike-github --project="$PROJECT_ID" \
  --member="serviceAccount:service-${answer:-PROJECT_NUMBER}@gcp-sa-cloudbuild.iam.gserviceaccount.com" \
  --role=roles/secretmanager.secretAccessor
has gcloud builds connections describe lookalike "${place[@]}" ||
  run gcloud builds connections create github lookalike "${place[@]}" \
    --authorizer-token-secret-version="projects/$PROJECT_ID/secrets/lookalike-github/versions/1" \
    --app-installation-id="$GITHUB_APP"
has gcloud builds repositories describe lookalike --connection=lookalike "${place[@]}" ||
  run gcloud builds repositories create lookalike --connection=lookalike "${place[@]}" \
    --remote-uri="$REPOSITORY"
has gcloud builds triggers describe lookalike "${place[@]}" ||
  run gcloud builds triggers create github --name=lookalike "${place[@]}" --repository="$path" \
    --branch-pattern='^main$' --build-config=cloudbuild.yaml \
    --service-account="projects/$PROJECT_ID/serviceAccounts/$deployer" \
    --substitutions="_REGION=$REGION,_ROOT=${ROOT:-gs://$BUCKET}"
