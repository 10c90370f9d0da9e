#!/bin/sh
# SPDX-License-Identifier: MIT
# interrupt_test.sh BUILD_DIR: the demo is interrupted in the middle of its traffic; it must say so with status 130
# and leave neither process nor file. Status 77: this machine permits no live traffic.
set -u
build=$1
folder=$(mktemp -d) || exit 1
log=$folder.log
TMPDIR=$folder "$(dirname "$0")/run" "$build" >"$log" 2>&1 &
demo=$!
trap 'kill "$demo" 2>/dev/null; rm -rf "$folder" "$log"' EXIT

tries=0
until grep -q '^ *seconds' "$log"; do
    if grep -q 'does not let us' "$log"; then
        sed -n 's/^ *This machine/SKIPPED: this machine/p' "$log"
        exit 77
    fi
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 "$demo" 2>/dev/null; then
        echo "the demo did not come to its traffic:"
        cat "$log"
        exit 1
    fi
    sleep 0.1
done
kill -INT "$demo"
wait "$demo"
status=$?
if [ $status -ne 130 ]; then
    echo "status $status, not 130:"
    cat "$log"
    exit 1
fi
if [ -n "$(ls -A "$folder")" ]; then
    echo "files are left: $(ls -A "$folder")"
    exit 1
fi
if grep -l -s "$folder" /proc/[0-9]*/cmdline; then
    echo "processes are left"
    exit 1
fi
echo "interrupted and cleaned up"
