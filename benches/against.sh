#!/usr/bin/env bash
# The table of results/: every load on Ringgear and on gearmand in turn, the server on one core, the load on another.
#
#   benches/against.sh OUT [ROUNDS [PLAN ...]]
#
# Writes OUT/<plan>/ (compare.md, plot.svg, and a folder for each run). Nothing else should run on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to write to}
rounds=${2:-5}
shift $(($# > 2 ? 2 : $#))
plans=("$@")
if [ ${#plans[@]} -eq 0 ]; then
    plans=(flood flood-uniques foreground foreground-grabs8 one-deep thousand functions-all functions-split
        drain-uniques drain shazam noisy sleepers idle)
fi

cargo build --release --locked --workspace --quiet
commit=$(git rev-parse --short HEAD)
mkdir -p "$out"
{
    echo "date    $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "commit  $commit"
    echo "kernel  $(uname -sr)"
    echo "cpu     $(nproc) x $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)"
    echo "other   $(gearmand --version 2>&1 | tr -d '\n' | cut -c1-60)"
} >"$out/machine.txt"

for plan in "${plans[@]}"; do
    set -- --rounds "$rounds"
    case $plan in
    # Long, or slow on gearmand; they differ by so much that three rounds tell it.
    drain | noisy | sleepers | idle) set -- --rounds $((rounds < 3 ? rounds : 3)) ;;
    flood-uniques) set -- --rounds 2 --jobs 1000000 --set phases.0.limit=400 ;;
    esac
    echo "== $plan"
    target/release/ringgear-load "$plan" "$@" --quiet --commit "$commit" --out "$out/$plan" \
        --server-command "target/release/ringgear -t 1 -L 127.0.0.1 -p {port}" --label ringgear \
        --against-command "gearmand ${GEARMAND_THREADS:--t 1} -L 127.0.0.1 -p {port} -l stderr" --against-label gearmand \
        --server-core 0 --load-core 1 >"$out/$plan.txt" 2>&1 || echo "failed: see $out/$plan.txt"
    grep -E 'CPU second|p50|p99,|per queued|bytes a' "$out/$plan.txt" || true
done
