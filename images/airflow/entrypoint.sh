#!/bin/sh
# Runs the command given; options alone are meant for airflow itself (`docker run IMAGE --help`).
case "${1:--}" in
  -*) set -- airflow "$@" ;;
esac
exec "$@"
