#!/bin/sh
# Starts the broker, or runs another verb of its command line: entrypoint.sh [VERB [OPTION...]]
#
# Without a verb, or with `serve`, the environment is rendered into a checked configuration file, for
# this user only and without secrets. Only BROKER_RUN_DIR and the metrics' directory have to be writable; both are
# below /dev/shm unless they are set.
set -eu

here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"

case "${1:-serve}" in
serve) ;;
*) exec python3 -m app "$@" ;;
esac
[ $# -eq 0 ] || shift

file="${BROKER_RUN_DIR:-/dev/shm}/multicloud-$(id -u)-$$.conf"
python3 -m app render-config --output "$file"
exec python3 -m app serve --config-file "$file" "$@"
