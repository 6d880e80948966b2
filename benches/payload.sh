#!/usr/bin/env bash
# Large workloads and results on Ringgear and on gearmand in turn, and on Ringgear and the relay (relay.rs) in turn, which receives and
# sends and does nothing else: foreground jobs of one size there and back, 4 clients, 4 workers, the server on one core, the load on another.
#
#   benches/payload.sh OUT [ROUNDS [BYTES ...]]      sizes: 10000 65536 1048576 16777216, 5 rounds
#
# Writes OUT/<bytes>-<other>/ (compare.md, plot.svg, and a folder for each run), OUT/<bytes>-<other>.txt, OUT/machine.txt and
# OUT/payload.tsv: for each size and other server the median jobs a second of both, and the server's CPU milliseconds per MB that
# passed through it (workload and result, each counted once). The aims: more jobs than gearmand at every size, at most 1.15 of the
# relay's CPU per MB. Nothing else should run on the machine. With RINGGEAR and RINGGEAR_LOAD set, these binaries are measured and only
# the relay is built.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to write to}
rounds=${2:-5}
shift $(($# > 2 ? 2 : $#))
sizes=("$@")
if [ ${#sizes[@]} -eq 0 ]; then
    sizes=(10000 65536 1048576 16777216)
fi

if [ -z "${RINGGEAR:-}" ] || [ -z "${RINGGEAR_LOAD:-}" ]; then
    cargo build --release --locked --workspace --quiet
fi
ringgear=${RINGGEAR:-target/release/ringgear}
load=${RINGGEAR_LOAD:-target/release/ringgear-load}
commit=$(git rev-parse --short HEAD)
mkdir -p "$out"
{
    echo "date    $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "commit  $commit"
    echo "kernel  $(uname -sr)"
    echo "cpu     $(nproc) x $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)"
    echo "other   $(gearmand --version 2>&1 | tr -d '\n' | cut -c1-60)"
} >"$out/machine.txt"

relay=$(cargo bench -q --locked -p ringgear --bench relay --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*relay[^"]*\)".*/\1/p' | tail -n 1)

# Side by side with one other server: NAME and its command.
beside() {
    echo "== $bytes bytes, $1"
    "$load" payload --set "clients.payload=$bytes" --set "workers.result=$bytes" --rounds "$rounds" --quiet \
        --commit "$commit" --out "$out/$bytes-$1" \
        --server-command "$ringgear -t 1 -L 127.0.0.1 -p {port}" --label ringgear \
        --against-command "$2" --against-label "$1" \
        --server-core 0 --load-core 1 >"$out/$bytes-$1.txt" 2>&1 || echo "no verdict, or failed: see $out/$bytes-$1.txt"
    grep -E 'CPU second|jobs a second|per queued' "$out/$bytes-$1.txt" || true
}

for bytes in "${sizes[@]}"; do
    beside gearmand "gearmand -t 1 -L 127.0.0.1 -p {port} -l stderr"
    beside relay "$relay -L 127.0.0.1 -p {port}"
done

python3 - "$out" "${sizes[@]}" >"$out/payload.tsv" <<'PYTHON'
"""From the result.json of every round: medians, and their ratios."""
import json, pathlib, statistics, sys

def medians(folder, size):
    phases = [json.loads(path.read_text())["phases"][-1] for path in sorted(folder.glob("*/result.json"))]
    rate = statistics.median(phase["rate"] for phase in phases)
    cpu = statistics.median(phase["server"]["cpu_per_job"] for phase in phases)
    # Microseconds of a job to milliseconds of a megabyte.
    return rate, cpu / 1e3 / (2 * size / 1e6)

print("bytes", "other", "jobs/s", "other's", "ratio", "CPU ms/MB", "other's", "ratio", sep="\t")
for size, other in ((size, other) for size in sys.argv[2:] for other in ("gearmand", "relay")):
    folder = pathlib.Path(sys.argv[1], f"{size}-{other}")
    try:
        (rate, cpu), (other_rate, other_cpu) = (medians(folder / who, int(size)) for who in ("ringgear", other))
    except (KeyError, statistics.StatisticsError) as error:
        print(size, other, f"no figures: {error!r}", sep="\t")
        continue
    row = [f"{rate:.0f}", f"{other_rate:.0f}", f"{rate / other_rate:.2f}", f"{cpu:.3f}", f"{other_cpu:.3f}", f"{cpu / other_cpu:.2f}"]
    print(size, other, *row, sep="\t")
PYTHON
cat "$out/payload.tsv"
