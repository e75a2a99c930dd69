#!/bin/sh
# Deletes log files past their age, every few minutes for ever; the chart's log groomer containers run it.
#
# AIRFLOW__LOG_RETENTION_DAYS (15) and AIRFLOW__LOG_RETENTION_MINUTES (0) add up to the age kept.
# AIRFLOW__LOG_CLEANUP_FREQUENCY_MINUTES (15): how often. AIRFLOW__LOG_MAX_SIZE_BYTES (0 = no limit) or
# AIRFLOW__LOG_MAX_SIZE_PERCENT (0 = no limit, share of the disk): beyond it the oldest day goes first.
set -eu

logs="${AIRFLOW_HOME:-/opt/airflow}/logs"
age=$(( ${AIRFLOW__LOG_RETENTION_DAYS:-15} * 1440 + ${AIRFLOW__LOG_RETENTION_MINUTES:-0} ))
every=$(( ${AIRFLOW__LOG_CLEANUP_FREQUENCY_MINUTES:-15} * 60 ))

limit_in_kilobytes() {
  if [ "${AIRFLOW__LOG_MAX_SIZE_BYTES:-0}" -gt 0 ]; then
    echo $(( (AIRFLOW__LOG_MAX_SIZE_BYTES + 1023) / 1024 ))
  elif [ "${AIRFLOW__LOG_MAX_SIZE_PERCENT:-0}" -gt 0 ]; then
    echo $(( $(df -kP "$logs" | awk 'NR == 2 { print $2 }') * AIRFLOW__LOG_MAX_SIZE_PERCENT / 100 ))
  else
    echo 0
  fi
}

delete_older_than() { # minutes
  find "$logs" -type f -name '*.log' -mmin "+$1" -delete || true
}

shrink() {
  limit=$(limit_in_kilobytes)
  keep=$age
  while [ "$limit" -gt 0 ] && [ "$keep" -gt 1440 ] && [ "$(du -sk "$logs" | cut -f1)" -gt "$limit" ]; do
    keep=$(( keep - 1440 ))
    delete_older_than "$keep"
  done
}

trap 'exit 0' TERM INT
while true; do
  delete_older_than "$age"
  shrink
  find "$logs" -mindepth 1 -type d -empty -mmin +60 -delete || true
  sleep "$every" & wait $!
done
