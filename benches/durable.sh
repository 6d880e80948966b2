#!/usr/bin/env bash
# What it costs to keep jobs: Ringgear's stores beside gearmand with SQLite, beanstalkd and Redis, on the same disk.
#
#   benches/durable.sh OUT [ROUNDS]
#
# Needs gearmand with libsqlite3, beanstalkd, redis-server and redis-benchmark (Debian: gearman-job-server beanstalkd
# redis-server). Servers on one core, load on the other; every run starts with an empty store under target/.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to write to}
rounds=${2:-3}
cargo build --release --locked --workspace --quiet
commit=$(git rev-parse --short HEAD)
mkdir -p "$out" target/durable
trap 'rm -rf target/durable' EXIT
fresh='d=$(mktemp -d target/durable/XXXXXX); exec'
listen='-L 127.0.0.1 -p {port}'
log="sh -c '$fresh target/release/ringgear -t 1 --data-dir \$d $listen'"
sqlite="sh -c '$fresh target/release/ringgear -t 1 -q libsqlite3 --libsqlite3-db \$d/queue.db $listen'"
memory="target/release/ringgear -t 1 $listen"
gearmand="sh -c '$fresh gearmand -t 1 -q libsqlite3 --libsqlite3-db \$d/queue.db $listen -l stderr'"

compare() { # folder plan label command label command
    local folder=$1
    target/release/ringgear-load "$2" --rounds "$rounds" --quiet --commit "$commit" --out "$out/$folder" --label "$3" \
        --server-command "$4" --against-label "$5" --against-command "$6" --server-core 0 --load-core 1 \
        >"$out/$folder.txt" 2>&1 || echo "failed: see $out/$folder.txt"
    echo "== $folder"
    grep -E '^\| durable.*(jobs/s|created p50|created p99,)' "$out/$folder.txt" || tail -3 "$out/$folder.txt"
}

echo "== the disk alone: 4 KiB, direct and synced, into a file of zeros" | tee "$out/disk.txt"
python3 - target/durable/probe <<'P' | tee -a "$out/disk.txt"
import mmap, os, sys, time
size = 64 << 20
with open(sys.argv[1], "wb") as file:
    file.write(bytes(size))
    os.fsync(file.fileno())
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
page = mmap.mmap(-1, 4096)
page.write(b"x" * 4096)
# Without rest, and at 200 a second: a disk that had nothing to do takes longer to answer.
for gap in (0, 0.005):
    times = []
    for at in range(1000):
        if gap:
            time.sleep(gap)
        begin = time.perf_counter_ns()
        os.pwrite(fd, page, at * 4096)
        times.append(time.perf_counter_ns() - begin)
    times.sort()
    print(f"{gap * 1000:.0f} ms apart: p50 {times[500] / 1000:.0f} us, p99 {times[990] / 1000:.0f} us, max {times[-1] / 1000:.0f} us")
P
compare light-memory durable-light log "$log" memory "$memory"
for plan in durable durable-deep; do
    compare "$plan-gearmand" $plan "log" "$log" "gearmand with SQLite" "$gearmand"
    compare "$plan-memory" $plan "log" "$log" "memory" "$memory"
    compare "$plan-sqlite" $plan "SQLite" "$sqlite" "gearmand with SQLite" "$gearmand"
done
compare beside durable-beside "log" "$log" "memory" "$memory"

for always in yes no; do
    dir=$(mktemp -d target/durable/XXXXXX)
    taskset -c 0 redis-server --port 21999 --bind 127.0.0.1 --dir "$dir" --appendonly $always --appendfsync always \
        --save "" >/dev/null &
    pid=$!
    sleep 1
    for round in $(seq "$rounds"); do
        for load in "-c 16 -P 32" "-c 64"; do
            # shellcheck disable=SC2086
            echo "redis, appendonly $always, $load: $(taskset -c 1 redis-benchmark -p 21999 -t lpush $load \
                -n 300000 -d 150 --csv 2>/dev/null | tail -1)"
        done
    done
    kill $pid
    wait $pid || true
done | tee "$out/redis.txt"

for sync in "-f 0" "-f 50" "-F"; do
    dir=$(mktemp -d target/durable/XXXXXX)
    # shellcheck disable=SC2086
    taskset -c 0 beanstalkd -l 127.0.0.1 -p 21998 -b "$dir" $sync 2>/dev/null &
    pid=$!
    sleep 0.5
    for round in $(seq "$rounds"); do
        for load in "64 1" "16 32"; do
            # shellcheck disable=SC2086
            echo "beanstalkd -b $sync, $load deep: $(taskset -c 1 python3 benches/beanstalk_load.py 21998 $load 4)"
        done
    done
    kill $pid
    wait $pid || true
done | tee "$out/beanstalkd.txt"
