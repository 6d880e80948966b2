#!/usr/bin/env bash
# What an idle server costs: time from start to listening, resident memory, wake-ups.  benches/idle.sh [COMMAND ...]
set -euo pipefail
cd "$(dirname "$0")/.."
port=$((20000 + RANDOM % 10000))
if [ $# -eq 0 ]; then
    cargo build --release --locked --quiet
    set -- target/release/ringgear -t 1 -L 127.0.0.1
fi
begin=$(date +%s%N)
"$@" -p "$port" &
pid=$!
trap 'kill $pid' EXIT
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
echo "start to listening  $((($(date +%s%N) - begin) / 1000)) us"
sleep 2
switches() { cat /proc/$pid/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { print sum }'; }
before=$(switches)
sleep 10
echo "wake-ups            $(($(switches) - before)) in 10 s"
echo "resident            $(awk '/^VmRSS/ { print $2 }' /proc/$pid/status) kB"
