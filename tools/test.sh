#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run all tests. Each part is a target of the Makefile and logs to build/test/PART.log; its end is shown when it is
# over, the whole of it when it failed. The lanes run side by side: one keeps a core busy, the others mostly wait for
# hosts and for the engine. V=1 shows all logs whole.
set -euo pipefail

cd "$(dirname "$0")/.."
LIMIT=${DRYDOCK_PART_TIMEOUT:-70m} # a part that hangs is a failed part
LANES=(
    "lint unit sanity molecule"
    "integration hosts"
    "faults"
)

logs=build/test
rm -rf "$logs"
mkdir -p "$logs"

# Ended from outside: end what we started, and let each part clean up.
stop() {
    local lane children
    for lane in $(jobs -p); do
        children=$(pgrep -P "$lane" || true)
        kill "$lane" || true
        # shellcheck disable=SC2086 # a list of process ids
        [ -z "$children" ] || kill $children || true
    done
    exit 130
}
trap stop INT TERM

# The sum of "N WORD" over the closing lines of pytest and of tools/*.sh in a log.
count() { # LOG WORD
    grep -aE '^=+ .* in [0-9.]+s.* =+$|^[a-z][^:]*: [0-9]+ passed, [0-9]+ failed$' "$1" |
        grep -oE "[0-9]+ $2" | awk '{ sum += $1 } END { print sum + 0 }' || true
}

run_part() { # PART
    local part=$1 log=$logs/$1.log status=0 start=$SECONDS passed failed skipped verdict=ok
    timeout --kill-after=60 "$LIMIT" make --no-print-directory --keep-going "$part" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -ne 124 ] || echo "test: $part was stopped after $LIMIT" >>"$log"
    passed=$(count "$log" passed)
    failed=$(($(count "$log" failed) + $(count "$log" errors?)))
    skipped=$(count "$log" skipped)
    # A part that counts nothing is one test.
    if [ "$status" -ne 0 ]; then
        verdict="FAILED (exit status $status)"
        [ "$failed" -gt 0 ] || failed=1
    elif [ "$((passed + failed))" -eq 0 ]; then
        passed=1
    fi
    echo "$passed $failed $skipped" >"$logs/$part.count"
    (
        flock 9
        echo
        echo "=== $part: $verdict, $((SECONDS - start)) s ($log)"
        if [ "$status" -ne 0 ] || [ -n "${V:-}" ]; then cat "$log"; else tail -n 12 "$log"; fi
    ) 9>"$logs/.lock"
}

echo "test: ${LANES[*]}"
for lane in "${LANES[@]}"; do
    (for part in $lane; do run_part "$part"; done) &
done
wait

read -r passed failed skipped < <(cat "$logs"/*.count | awk '{ p += $1; f += $2; s += $3 } END { print p, f, s }')
echo
echo "test: took $SECONDS s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
