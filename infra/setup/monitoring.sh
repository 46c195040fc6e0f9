#!/usr/bin/env bash
# Log metrics, the dashboard and the alerts of infra/monitoring. A part of infra/bootstrap.sh; run
# it again after a change of these files.
#
#   PROJECT_ID=… [ALERT_EMAIL=…] infra/setup/monitoring.sh
source "$(dirname "$0")/../steps.sh"
need PROJECT_ID
project=--project=$PROJECT_ID

title() { sed -n 's/^  "displayName": "\(.*\)",$/\1/p' "$1"; }
named() { echo "displayName=\"$1\""; }

for file in infra/monitoring/metrics/*.json; do
  metric=$(basename "$file" .json)
  if has gcloud logging metrics describe "$metric" "$project"; then
    run gcloud logging metrics update "$metric" "$project" --config-from-file="$file"
  else
    run gcloud logging metrics create "$metric" "$project" --config-from-file="$file"
  fi
done

file=infra/monitoring/dashboard.json
ask gcloud monitoring dashboards list "$project" --filter="$(named "$(title "$file")")" --format='value(name)'
if [[ $answer ]]; then
  run gcloud monitoring dashboards update "$answer" "$project" --config-from-file="$file"
else
  run gcloud monitoring dashboards create "$project" --config-from-file="$file"
fi

channel=''
if [[ ${ALERT_EMAIL:-} ]]; then
  find=(gcloud beta monitoring channels list "$project" --type=email
    --filter="labels.email_address=\"$ALERT_EMAIL\"" --format='value(name)' --limit=1)
  ask "${find[@]}"
  if [[ ! $answer ]]; then
    run gcloud beta monitoring channels create "$project" --type=email \
      --display-name="Lookalike: $ALERT_EMAIL" --channel-labels="email_address=$ALERT_EMAIL"
    ask "${find[@]}"
  fi
  channel=${answer:-projects/$PROJECT_ID/notificationChannels/CHANNEL}
fi

for file in infra/monitoring/alerts/*.json; do
  ask gcloud alpha monitoring policies list "$project" --filter="$(named "$(title "$file")")" --format='value(name)'
  if [[ $answer ]]; then
    run gcloud alpha monitoring policies update "$answer" "$project" --policy-from-file="$file" \
      ${channel:+--set-notification-channels="$channel"}
  else
    run gcloud alpha monitoring policies create "$project" --policy-from-file="$file" \
      ${channel:+--notification-channels="$channel"}
  fi
done
