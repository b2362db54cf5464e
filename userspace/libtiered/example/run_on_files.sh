#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the examples that use memory on ordinary files: run_on_files.sh VISITS LARGE_MAP
set -eu

visits=$1 large_map=$2
file=$(mktemp /dev/shm/tiered-example.XXXXXX)
trap 'rm -f "$file" "$file.out"' EXIT
truncate -s 64M "$file"

fail() {
    echo "$*" >&2
    exit 1
}

# says WANTED COMMAND...: the command succeeds and prints these words.
says() {
    wanted=$1
    shift
    "$@" >"$file.out" 2>/dev/null || fail "$* failed: $("$@" 2>&1 || :)"
    said=$(xargs <"$file.out")
    [ "$said" = "$wanted" ] || fail "$* said '$said', not '$wanted'"
}

says "anna 1" "$visits" "$file" anna
says "bert 1 bert 2" "$visits" "$file" bert 2
says "anna 2" "$visits" "$file" anna
"$visits" "$file" anna 2>&1 >/dev/null | grep -q "has no MAP_SYNC" || fail "nothing says that a file is not synchronous"

# A kill between two visits, at any time.
"$visits" "$file" carl 1000000 >"$file.out" 2>/dev/null &
until [ "$(wc -l <"$file.out")" -ge 100 ]; do :; done
kill -9 $!
wait $! 2>/dev/null || :
acknowledged=$(tail -n 1 "$file.out" | cut -d' ' -f2)
next=$("$visits" "$file" carl 2>/dev/null | cut -d' ' -f2)
if [ "$next" -le "$acknowledged" ] || [ "$next" -gt $((acknowledged + 2)) ]; then
    fail "after $acknowledged visits were said, the next one is $next"
fi

"$large_map" "$file" 1 >/dev/null 2>&1 || fail "$("$large_map" "$file" 1 2>&1)"
refused=$("$visits" "$file" anna 2>&1) && fail "an arena left a root behind: $refused"
said=$("$large_map" "$file" 36 | tail -n 1)
[ "$said" = "6291 entries as they were stored" ] || fail "of a large map is said: $said"
if refused=$("$large_map" "$file" 70 2>&1) || [ "${refused#large_map: no }" = "$refused" ]; then
    fail "a map larger than its volume: $refused"
fi
