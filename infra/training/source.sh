# What both launch scripts give a machine: this commit, and what it is to do.
# shellcheck shell=bash disable=SC2034
trainer=lookalike-train@$PROJECT_ID.iam.gserviceaccount.com
run_url=gs://$BUCKET/runs/$RUN

# The machine gets what is committed, without any right to the repository.
upload_source() {
  local archive=.cache/source.tar.gz
  if ! is_dry; then
    mkdir -p .cache
    git archive --format=tar.gz --output="$archive" HEAD
  fi
  run gcloud storage cp "$archive" "$run_url/source.tar.gz"
}

# metadata EXTRA OPTION…: for training/start.sh; ^|^ makes | the separator, options have commas.
metadata() {
  local extra=$1
  shift
  echo "^|^run=$run_url|catalog=${CATALOG:-gs://$BUCKET/catalog}|extra=$extra|options=$*"
}

told() { is_dry || echo "The log: gcloud storage cat '$run_url/logs/*'" >&2; }
