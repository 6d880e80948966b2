#!/usr/bin/env bash
# Databases as stores: Ringgear beside gearmand on the same PostgreSQL, MariaDB and Redis, in turn, each at the database's full durability.
#
#   benches/stores.sh OUT [ROUNDS [STORE ...]]      3 rounds; stores: postgres mariadb redis
#
# For each store: background jobs with uniques, 16 connections 32 deep, beside gearmand; foreground jobs beside stored ones, against a
# server without a store; a first and a second start on a million rows that gearmand might have written; what the database does alone; and for
# PostgreSQL, three servers at once. The job server has one core and the load the other; the database runs where there is room, so it takes
# time from both. Every run starts with an empty database. Alone, it is given the same rows by its own client, as bare.py says: 512 for each
# commit; whoever stores jobs and lets as many wait for a commit cannot be faster on this machine. Writes OUT/<what>/ as
# ringgear-load does, OUT/<what>.txt, OUT/starts.tsv, OUT/bare.tsv and OUT/machine.txt.
#
# PARTS says which of these are run (default: deep beside starts bare three). Needs Debian's gearman-job-server postgresql mariadb-server redis-server, and root or a user who may run these. With RINGGEAR and RINGGEAR_LOAD
# set, these binaries are measured. Nothing else should run on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?where to write to}
rounds=${2:-3}
shift $(($# > 2 ? 2 : $#))
stores=("$@")
if [ ${#stores[@]} -eq 0 ]; then stores=(postgres mariadb redis); fi
rows=${ROWS:-1000000}
parts=${PARTS:-deep beside starts bare three}

if [ -z "${RINGGEAR:-}" ] || [ -z "${RINGGEAR_LOAD:-}" ]; then cargo build --release --locked --workspace --quiet; fi
ringgear=$(realpath "${RINGGEAR:-target/release/ringgear}")
load=$(realpath "${RINGGEAR_LOAD:-target/release/ringgear-load}")
commit=$(git rev-parse --short HEAD)
mkdir -p "$out"
scratch=$(mktemp -d /var/tmp/stores.XXXXXX)
chmod 755 "$scratch"
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; rm -rf "$scratch"' EXIT
{
    echo "date    $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "commit  $commit"
    echo "kernel  $(uname -sr)"
    echo "cpu     $(nproc) x $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)"
    echo "disk    $(df --output=fstype "$scratch" | tail -1)"
    echo "other   $(gearmand --version 2>&1 | tr -d '\n' | cut -c1-60)"
} >"$out/machine.txt"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
until_it_says() { # patience, then a command that succeeds once it is so
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "never so: $*" >&2; return 1; }
        sleep 0.2
    done
}

# Each store sets: version, empty (a command that empties it), ours and theirs (options), and rows_of (fills in rows as gearmand writes them).
start_postgres() {
    local bin
    bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
    port=$(free_port)
    as=()
    [ "$(id -u)" != 0 ] || { as=(setpriv --reuid postgres --regid postgres --clear-groups --); chown postgres "$scratch"; }
    (cd "$scratch" && "${as[@]}" "$bin/initdb" --auth=trust --encoding=UTF8 --locale=C -U postgres -D "$scratch/pg" >/dev/null)
    (cd "$scratch" && exec "${as[@]}" "$bin/postgres" -D "$scratch/pg" -k "$scratch" -p "$port" -c listen_addresses=127.0.0.1 2>"$scratch/pg.log") &
    pids+=($!)
    until_it_says 60 psql -h 127.0.0.1 -p "$port" -U postgres -c 'SELECT 1'
    version=$("$bin/postgres" --version)
    sql="psql -qX -h 127.0.0.1 -p $port -U postgres postgres"
    empty="$sql -c 'SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public; CHECKPOINT'"
    theirs="-q Postgres --libpq-conninfo 'host=127.0.0.1 port=$port user=postgres dbname=postgres'"
    ours=$theirs
    fill_rows() {
        $sql -c "CREATE TABLE queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INTEGER, data BYTEA, when_to_run INTEGER, UNIQUE (unique_key, function_name));
            INSERT INTO queue SELECT 'unique-' || n, 'load', 1, convert_to('payload ' || repeat('x', 90) || n, 'UTF8'), 0 FROM generate_series(1, $rows) n; ANALYZE queue; CHECKPOINT"
    }
}
start_mariadb() {
    port=$(free_port)
    mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db --user="$(id -un)" --datadir="$scratch/maria" >/dev/null 2>&1
    mariadbd --no-defaults --datadir="$scratch/maria" --socket="$scratch/maria.sock" --port="$port" --bind-address=127.0.0.1 --user="$(id -un)" 2>"$scratch/maria.log" &
    pids+=($!)
    sql="mariadb --no-defaults -uroot -S $scratch/maria.sock"
    until_it_says 60 $sql -e 'SELECT 1'
    # gearmand wants a password in its options, though it may be empty for the server.
    $sql -e "CREATE USER gear@'127.0.0.1' IDENTIFIED BY 'gear'; CREATE USER gear@localhost IDENTIFIED BY 'gear'; GRANT ALL ON *.* TO gear@'127.0.0.1'; GRANT ALL ON *.* TO gear@localhost"
    version=$(mariadbd --version)
    empty="$sql -e 'DROP DATABASE IF EXISTS gearman; CREATE DATABASE gearman'"
    theirs="-q MySQL --mysql-host 127.0.0.1 --mysql-port $port --mysql-user gear --mysql-password gear --mysql-db gearman"
    ours=$theirs
    fill_rows() {
        $sql gearman -e "CREATE TABLE gearman_queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INT, data LONGBLOB, when_to_run INT, UNIQUE KEY (unique_key, function_name));
            INSERT INTO gearman_queue SELECT CONCAT('unique-', seq), 'load', 1, CONCAT('payload ', REPEAT('x', 90), seq), 0 FROM seq_1_to_$rows"
    }
}
start_redis() {
    port=$(free_port)
    mkdir -p "$scratch/redis"
    redis-server --port "$port" --bind 127.0.0.1 --dir "$scratch/redis" --appendonly yes --appendfsync always --save "" >/dev/null &
    pids+=($!)
    until_it_says 60 redis-cli -p "$port" PING
    version=$(redis-server --version)
    sql="redis-cli -p $port"
    empty="$sql FLUSHALL >/dev/null"
    theirs="-q redis --redis-server 127.0.0.1 --redis-port $port"
    ours=$theirs
    fill_rows() {
        python3 -c "
import sys
for n in range(1, $rows + 1):
    words = [b'HSET', b'_gear_-load-unique-%d' % n, b'priority', b'1', b'data', b'payload ' + b'x' * 90 + b'%d' % n]
    sys.stdout.buffer.write(b'*%d\r\n' % len(words) + b''.join(b'\$%d\r\n%s\r\n' % (len(w), w) for w in words))
" | $sql --pipe >/dev/null
    }
}

beside() { # folder plan label command label command
    echo "== $1"
    "$load" "$2" --rounds "$rounds" --quiet --commit "$commit" --out "$out/$1" --label "$3" --server-command "$4" --against-label "$5" \
        --against-command "$6" --server-core 0 --load-core 1 >"$out/$1.txt" 2>&1 || echo "failed: see $out/$1.txt"
    grep -E '^\| .*(jobs/s|created p50|created p99,|complete p99,)' "$out/$1.txt" || tail -3 "$out/$1.txt"
}

bare() { # store: the database alone, in the tables that a server of ours has made
    local at gear round what begin batches=600
    for round in $(seq "$rounds"); do
        for what in accepted done; do
            sh -c "$empty"
            at=$(free_port)
            sh -c "exec $ringgear -t 1 -L 127.0.0.1 -p $at $ours -l $scratch/start.log" &
            gear=$!
            until_it_says 60 gearadmin -h 127.0.0.1 -p "$at" --status
            kill "$gear"
            wait "$gear" || true
            benches/bare.py "$1" "$what" "$batches" >"$scratch/bare"
            begin=$(date +%s%N)
            case $1 in
            postgres) $sql -v ON_ERROR_STOP=1 -f "$scratch/bare" ;;
            mariadb) $sql gearman <"$scratch/bare" ;;
            redis) $sql --pipe <"$scratch/bare" >/dev/null ;;
            esac
            printf '%s\t%s\tround %s\t%s rows a second\n' "$1" "$what" "$round" \
                "$(python3 -c "print(round($batches * 512 / ($(date +%s%N) - $begin) * 1e9))")" | tee -a "$out/bare.tsv"
        done
    done
}

first_and_second_start() { # store
    local at try gear begin
    sh -c "$empty"
    fill_rows
    for try in first second; do
        at=$(free_port)
        begin=$(date +%s%N)
        sh -c "exec taskset -c 0 $ringgear -t 1 -L 127.0.0.1 -p $at $ours -l $scratch/start.log" &
        gear=$!
        until_it_says 120 sh -c "gearadmin -h 127.0.0.1 -p $at --status | grep -q '^load\s$rows\s'"
        printf '%s\t%s start\t%s rows\t%s s\n' "$1" "$try" "$rows" "$(python3 -c "print(round(($(date +%s%N) - $begin) / 1e9, 2))")" | tee -a "$out/starts.tsv"
        kill "$gear"
        wait "$gear" || true
    done
}

three_at_once() { # a third of the connections each
    local round at one
    for round in $(seq "$rounds"); do
        sh -c "$empty"
        at=()
        for one in 1 2 3; do
            "$load" durable-deep --quiet --commit "$commit" --set clients.count=5 --out "$out/three-$round-$one" --label "server $one" \
                --server-command "$ringgear -t 1 -L 127.0.0.1 -p {port} $ours --server-name three-$one" --server-core 0 --load-core 1 \
                >"$out/three-$round-$one.txt" 2>&1 &
            at+=($!)
        done
        for one in "${at[@]}"; do wait "$one" || echo "failed: see $out/three-$round-*.txt"; done
        echo "== three servers, round $round"
        grep -hE '^durable-deep: .*jobs/s' "$out/three-$round"-[123].txt || true
    done
}

for store in "${stores[@]}"; do
    "start_$store"
    echo "$store  $version" | tee -a "$out/machine.txt"
    fresh_ours="sh -c \"$empty; exec $ringgear -t 1 -L 127.0.0.1 -p {port} $ours\""
    fresh_theirs="sh -c \"$empty; exec gearmand -t 1 -L 127.0.0.1 -p {port} $theirs -l stderr\""
    for part in $parts; do
        case $part in
        deep) beside "$store-deep" durable-deep Ringgear "$fresh_ours" gearmand "$fresh_theirs" ;;
        beside) beside "$store-beside" durable-beside "with $store" "$fresh_ours" memory "$ringgear -t 1 -L 127.0.0.1 -p {port}" ;;
        starts) first_and_second_start "$store" ;;
        bare) bare "$store" ;;
        three) [ "$store" != postgres ] || three_at_once ;;
        *) echo "no part is called $part" >&2; exit 2 ;;
        esac
    done
    for pid in "${pids[@]}"; do kill "$pid"; done
    wait || true
    pids=()
done
