#!/bin/sh
# The container without an engine for containers: container.sh [PROGRAM]. What the Containerfile says is done in a folder with files of this
# machine in the place of Debian's image, and run as an engine would: by a user who has no name and no rights, in namespaces of its
# own, on a root file system that cannot be written, under a filter of system calls like that of Docker (profile.py), which forbids
# io_uring. PROGRAM is that of a debug build if there is none.
#
# Needs root, unshare and setpriv (util-linux), python3 and a C compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program=${1:-${CARGO_TARGET_DIR:-$root/target}/debug/ringgear}
[ -x "$program" ] || { echo "container.sh: there is no $program: cargo build --workspace" >&2; exit 1; }
for name in unshare setpriv python3 cc; do
    command -v $name >/dev/null || { echo "container.sh: there is no $name: apt-get install util-linux python3 gcc libc6-dev" >&2; exit 1; }
done
# Its own name, for there may be a script before it on the PATH that wants more of the environment than a container has.
python=$(python3 -c 'import sys; print(sys.executable)')

work=$(mktemp -d)
image=$work/image
runner=
pid=
end() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    [ -z "$runner" ] || wait "$runner" 2>/dev/null || true
    runner= pid=
}
trap 'end; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
fail() {
    echo "FAILED: $*" >&2
    cat "$work/log" >&2 2>/dev/null || true
    exit 1
}

# put PROGRAM PATH: with the libraries that it needs.
put() {
    install -D -m 755 "$1" "$image/$2"
    for library in $(ldd "$1" | grep -o '/[^ ]*'); do
        [ -e "$image/$library" ] || install -D -m 755 "$library" "$image/$library"
    done
}
mkdir -p "$image"
for folder in dev etc proc sys tmp usr/local/bin var/lib; do mkdir -p "$image/$folder"; done
for name in sh chmod install ln; do put "$(command -v $name)" "/bin/$name"; done
echo '127.0.0.1 localhost' >"$image/etc/hosts"

# The last stage of the Containerfile, a line for each order. Lists become words.
words() { echo "$*" | sed 's/[][",]/ /g'; }
building=
user= health= entry= command=
while read -r order rest; do
    case $order in
    FROM)
        case $rest in
        *" AS build") building=yes ;;
        *) building= ;;
        esac
        continue
        ;;
    esac
    [ -z "$building" ] || continue
    case $order in
    '' | '#'* | EXPOSE) ;;
    COPY)
        case $rest in
        "--from=build "*) put "$program" "${rest##* }" ;;
        *) install -m 644 "$root/${rest% *}" "$image${rest##* }" ;;
        esac
        ;;
    RUN) chroot "$image" /bin/sh -ec "PATH=/bin; $rest" || fail "RUN $rest" ;;
    USER) user=$rest ;;
    VOLUME) volume=$rest ;;
    HEALTHCHECK) health=$(words "${rest#*CMD }") ;;
    ENTRYPOINT) entry=$(words "$rest") ;;
    CMD) command=$(words "$rest") ;;
    *) fail "this test does not know $order" ;;
    esac
done <"$root/src/packaging/Containerfile"
[ -n "$user" ] && [ -n "$health" ] && [ -n "$entry" ] && [ -n "$command" ] || fail "the Containerfile says too little"
install -d -m 750 -o "${user%:*}" -g "${user#*:}" "$work/volume"

# as_user WORD...: in the container, without rights, under the filter. (It allows chroot, as Docker's does where nothing is dropped.)
cat >"$work/as_user" <<AS_USER
image=\$1 user=\$2
shift 2
exec "$python" "$here/profile.py" setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid chroot --userspec="\$user" --groups= "\$image" "\$@"
AS_USER
cat >"$work/start" <<'START'
image=$1 volume=$2 inside=$3
shift 3
mount --make-rprivate /
mount --bind "$image" "$image"
mount -t tmpfs tmpfs "$image/dev"
for name in null zero urandom; do touch "$image/dev/$name"; mount --bind "/dev/$name" "$image/dev/$name"; done
mount -t proc proc "$image/proc"
mount -t sysfs -o ro sysfs "$image/sys"
mount --bind "$volume" "$image$inside"
mount -o remount,ro,bind "$image"
ip link set lo up
exec "$@"
START

# start VARIABLE=VALUE... -- WORD...: the container with these variables and these words behind the name of the image.
start() {
    end
    variables=
    while [ "$1" != -- ]; do
        variables="$variables $1"
        shift
    done
    shift
    [ $# -gt 0 ] || set -- $command
    # shellcheck disable=SC2086 # words on purpose
    unshare --mount --pid --net --ipc --uts --fork --kill-child sh "$work/start" "$image" "$work/volume" "$volume" \
        env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $variables sh "$work/as_user" "$image" "$user" $entry "$@" \
        </dev/null >"$work/log" 2>&1 &
    runner=$!
    healthy_env=$variables
}
inside() {
    # shellcheck disable=SC2086
    nsenter -t "$pid" -m -n -p -i -u env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $healthy_env sh "$work/as_user" "$image" "$user" "$@"
}
healthy() {
    tries=0
    # shellcheck disable=SC2086
    until pid=$(pgrep -P "$runner") && inside $health >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] && kill -0 "$runner" 2>/dev/null || fail "it does not become healthy: $*"
        sleep 0.25
    done
}
runs() {
    found=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    [ "$found" = "$1 " ] || fail "it was started as '$found' instead of '$1'"
}
refused() {
    if wait "$runner"; then fail "it has started"; fi
    runner=
    grep -q "$1" "$work/log" || fail "it does not say: $1"
}

says() { grep -q "$1" "$work/log" || fail "it does not say: $1"; }

echo "== the filter is there"
start -- --sockets=uring
refused "io_uring cannot be used here (Operation not permitted"
[ ! -e "$image/etc/passwd" ] || fail "somebody has a name"

echo "== nothing said"
start --
healthy
runs ringgear
[ "$(awk '/^(Uid|CapEff|NoNewPrivs|Seccomp:)/ { printf "%s ", $2 }' "/proc/$pid/status")" = "${user%:*} 0000000000000000 1 2 " ] ||
    fail "it has rights: $(cat "/proc/$pid/status")"
if inside sh -c 'echo >/tmp/x || echo >/etc/x' 2>/dev/null; then fail "the root file system can be written"; fi
kill -TERM "$pid"
wait "$runner" || fail "it does not end well"
runner= pid=

echo "== variables of artefactual/gearmand, and options before them"
start GEARMAND_PORT=4731 THREADS=2 VERBOSE=INFO QUEUE_TYPE=builtin BACKLOG=64 FILE_DESCRIPTORS=0 ROUND_ROBIN=1 KEEPALIVE=1 \
    KEEPALIVE_IDLE=20 JOB_RETRIES= -- -t 1
healthy
runs "ringgear --port=4731 --verbose=INFO --queue-type=builtin --backlog=64 --round-robin --keepalive-idle=20 -t 1"
start LISTEN_PORT=4732 WORKER_WAKEUP=0 ROUND_ROBIN=0 KEEPALIVE=0 KEEPALIVE_IDLE=20 -- gearmand --threads=1
healthy
runs "gearmand --port=4732 --worker-wakeup=0 --threads=1"

echo "== which way sockets are served, and why"
start VERBOSE=NOTICE --
healthy
says "sockets are served by epoll, io_uring cannot be used"
says "io_uring_setup is forbidden"
if grep -i "panic" "$work/log"; then fail "it has panicked"; fi

echo "== what Kubernetes puts there"
start GEARMAND_PORT=tcp://10.0.0.1:4730 -- --threads=1
healthy
runs "ringgear --threads=1"
grep -q "GEARMAND_PORT=tcp://10.0.0.1:4730 is no port number" "$work/log" || fail "nobody is told"

echo "== mistakes"
start QUEUE_TYPE=mysql MYSQL_HOST=127.0.0.1 MYSQL_PORT=1 MYSQL_USER=u MYSQL_DB=d -- --store-wait=0
refused "MySQL at 127.0.0.1:1, database d cannot be reached"
start THREADS=many --
refused "invalid value 'many' for '--threads <N>'"

echo "== jobs in the volume"
for turn in first second; do
    start -- ringgear --threads=1 --data-dir="$volume"
    healthy "$turn"
    kill -TERM "$pid"
    wait "$runner" || fail "it does not end well"
    runner= pid=
done
[ -n "$(ls "$work/volume")" ] || fail "nothing is in the volume"

echo "== words of our own"
start -- help signals
wait "$runner" || fail "no help"
runner=
grep -q SIGTERM "$work/log" || fail "no help"
echo "all is well"
