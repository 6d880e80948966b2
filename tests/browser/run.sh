#!/bin/sh
# The dashboard in a real browser: tests/browser/run.sh [PATH OF ringgear]. Starts its own server and its own browser, and ends them.
# Needs Debian's chromium and nodejs, and npm once, for what package-lock.json names.
set -eu
cd "$(dirname "$0")"
program=${1:-${RINGGEAR:-../../target/debug/ringgear}}

for needed in node npm; do
    command -v "$needed" >/dev/null || { echo "$needed is missing: apt-get install nodejs npm" >&2; exit 1; }
done
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || { echo "${CHROMIUM:-/usr/bin/chromium} is missing: apt-get install chromium" >&2; exit 1; }
[ -x "$program" ] || { echo "$program is missing: cargo build, or say where the program is" >&2; exit 1; }

# What the lock file names and nothing else, without running anything of it.
if ! cmp -s package-lock.json node_modules/.from-lock; then
    npm ci --ignore-scripts --no-audit --no-fund
    cp package-lock.json node_modules/.from-lock
fi
# Pictures are taken where SCREENSHOTS says, as in SCREENSHOTS=$PWD/results/dashboard tests/browser/run.sh.
RINGGEAR=$(realpath "$program") exec node --test --test-concurrency=1 --test-reporter=spec dashboard.test.mjs
