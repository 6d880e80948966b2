#!/usr/bin/env bash
# What TLS costs: Ringgear in plain text and by TLS (ECDSA on P-256, TLS 1.3), and gearmand behind stunnel, one after the other in each
# round, the server on one core and the load on another. Clients that wait for results (foreground), and background jobs as fast as they
# are accepted (flood).
#
#   benches/tls.sh OUT [ROUNDS [SECONDS [JOBS]]]      5 rounds; 5 seconds of foreground, 1000000 jobs of flood
#
# Writes OUT/<plan>-<server>/<round>/ (result.json and what belongs to it), OUT/machine.txt and OUT/tls.tsv: for each plan and server the
# median, least and most of jobs a second and of the server's CPU microseconds a job, and how many times that of plain text it is. The
# CPU of gearmand and that of stunnel are those of two runs, for a run looks at one process. The aims: foreground and flood by TLS at most
# 1.6 times the CPU of plain text. Nothing else should run on the machine. With RINGGEAR and RINGGEAR_LOAD set, these binaries are
# measured and nothing is built. Needs openssl and stunnel4 (and gearman-job-server).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to write to}
rounds=${2:-5}
seconds=${3:-5}
jobs=${4:-1000000}

if [ -z "${RINGGEAR:-}" ] || [ -z "${RINGGEAR_LOAD:-}" ]; then
    cargo build --release --locked --workspace --quiet
fi
ringgear=${RINGGEAR:-target/release/ringgear}
load=${RINGGEAR_LOAD:-target/release/ringgear-load}
stunnel=$(command -v stunnel || command -v stunnel4)
commit=$(git rev-parse --short HEAD)
mkdir -p "$out"
keys=$(mktemp -d)
servers=()
end() {
    for pid in "${servers[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${servers[@]}"; do wait "$pid" 2>/dev/null || true; done
    servers=()
}
trap 'end; rm -rf "$keys"' EXIT
{
    echo "date    $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "commit  $commit"
    echo "kernel  $(uname -sr)"
    echo "cpu     $(nproc) x $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)"
    echo "other   $(gearmand --version 2>&1 | tr -d '\n' | cut -c1-60), $("$stunnel" -version 2>&1 | grep -m 1 -i "^stunnel")"
} >"$out/machine.txt"

# A CA, and a certificate for localhost that it has signed.
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=CA" \
        -addext keyUsage=critical,keyCertSign -keyout "$keys/ca.key" -out "$keys/ca.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout "$keys/server.key" -out "$keys/server.csr"
    printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >"$keys/server.ext"
    openssl x509 -req -in "$keys/server.csr" -CA "$keys/ca.pem" -CAkey "$keys/ca.key" -CAcreateserial -days 30 \
        -extfile "$keys/server.ext" -out "$keys/server.pem"
} >/dev/null 2>&1

# A port that is free now.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

await_port() {
    for _ in $(seq 200); do
        if (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        sleep 0.05
    done
    echo "nobody listens at port $1" >&2
    return 1
}

# One run: folder, and more options.
run() {
    local folder=$1
    shift
    case $plan in
    foreground) set -- "$@" --seconds "$seconds" ;;
    flood) set -- "$@" --jobs "$jobs" ;;
    esac
    mkdir -p "$(dirname "$folder")"
    "$load" "$plan" --quiet --commit "$commit" --no-probe --force --out "$folder" --load-core 1 "$@" >"$folder.txt" 2>&1 ||
        echo "failed: see $folder.txt"
}

ours() { # label, then options of the server and of the load
    local label=$1 server=$2
    shift 2
    run "$out/$plan-$label/$round" --label "$label" --server-core 0 \
        --server-command "$ringgear -t 1 -L 127.0.0.1 -p {port} --control none $server" "$@"
}

# gearmand behind stunnel: which of the two is looked at.
theirs() {
    local inner outer process
    inner=$(free_port)
    outer=$(free_port)
    printf 'foreground=yes\npid=\nsyslog=no\ndebug=3\n[gearmand]\naccept=127.0.0.1:%s\nconnect=127.0.0.1:%s\ncert=%s\nkey=%s\n' \
        "$outer" "$inner" "$keys/server.pem" "$keys/server.key" >"$keys/stunnel.conf"
    taskset -c 0 gearmand -t 1 -L 127.0.0.1 -p "$inner" -l "$keys/gearmand.log" &
    servers+=($!)
    await_port "$inner"
    taskset -c 0 "$stunnel" "$keys/stunnel.conf" 2>"$keys/stunnel.log" &
    servers+=($!)
    await_port "$outer"
    process=${servers[$1]}
    run "$out/$plan-$2/$round" --label "$2" --server "127.0.0.1:$outer" --server-pid "$process" --tls --ca "$keys/ca.pem"
    end
}

for plan in foreground flood; do
    for round in $(seq "$rounds"); do
        echo "== $plan, round $round"
        ours plain ""
        ours tls "--ssl --ssl-certificate $keys/server.pem --ssl-key $keys/server.key" --tls --ca "$keys/ca.pem"
        theirs 0 gearmand
        theirs 1 stunnel
    done
done

python3 - "$out" >"$out/tls.tsv" <<'PYTHON'
"""From the result.json of every round: median, least and most, and how many times plain text it costs."""
import json, pathlib, statistics, sys

def figures(plan, server):
    phases = [
        next(phase for phase in json.loads(path.read_text())["phases"] if phase["name"] == plan)
        for path in sorted(pathlib.Path(sys.argv[1], f"{plan}-{server}").glob("*/result.json"))
    ]
    return [[phase["rate"] for phase in phases], [phase["server"]["cpu_per_job"] for phase in phases]]

print("plan", "server", "jobs/s", "least", "most", "CPU us/job", "least", "most", "x plain", sep="\t")
for plan in ("foreground", "flood"):
    try:
        found = {server: figures(plan, server) for server in ("plain", "tls", "gearmand", "stunnel")}
        gearmand, stunnel = found.pop("gearmand"), found.pop("stunnel")
        # What both take together: pairs of the same round.
        found["gearmand behind stunnel"] = [gearmand[0], [sum(pair) for pair in zip(gearmand[1], stunnel[1])]]
        plain = statistics.median(found["plain"][1])
        for server, (rates, costs) in found.items():
            row = [statistics.median(rates), min(rates), max(rates)]
            cost = [statistics.median(costs), min(costs), max(costs)]
            print(plan, server, *(f"{x:.0f}" for x in row), *(f"{x:.2f}" for x in cost), f"{cost[0] / plain:.2f}", sep="\t")
    except (KeyError, TypeError, StopIteration, ValueError, statistics.StatisticsError) as error:
        print(plan, f"no figures: {error!r}", sep="\t")
PYTHON
cat "$out/tls.tsv"
