#!/bin/sh
# The Debian packages in a fresh Debian 12 with a systemd of its own: in place of a gearman-job-server that has options and queued jobs,
# through restarts and a boot, back again, and purged in both orders. debian.sh [DIR]: DIR has the packages; they are made if there is none,
# with the profile that PROFILE names (dev if it names none).
#
# Needs root, namespaces and cgroup2; debootstrap is installed if it is missing. The system without any of the packages is kept in
# target/debian-base for the next time.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
base=${DEBIAN_BASE:-$target/debian-base}

debs=${1:-}
if [ -z "$debs" ]; then
    debs=$target/debian-test
    PROFILE=${PROFILE:-dev} "$root/src/packaging/deb.sh" "$debs"
fi
"$here/base.sh" "$base"

work=$(mktemp -d)
system=
pid=
group=

power_off() {
    # The first process takes all others along.
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    [ -z "$system" ] || wait "$system" 2>/dev/null || true
    system= pid=
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    group=
}
trap 'power_off; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Boots the system in $work/root.
power_on() {
    group=$(findmnt -n -l -t cgroup2 -o TARGET | head -n 1)/ringgear-packages-$$
    mkdir -p "$group"
    sh -c 'echo $$ >"$1/cgroup.procs" && exec unshare --cgroup --pid --mount --uts --ipc --net --fork --kill-child sh "$2" "$3"' \
        sh "$group" "$here/boot.sh" "$work/root" </dev/null >"$work/console" 2>&1 &
    system=$!
    tries=0
    until pid=$(pgrep -P "$system" 2>/dev/null) && inside systemctl is-active multi-user.target >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 120 ] || ! kill -0 "$system" 2>/dev/null; then
            cat "$work/console" >&2
            fail "systemd does not come up"
        fi
        sleep 0.5
    done
}

inside() { nsenter -t "$pid" -a env LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }
apt() { inside apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >"$work/apt" 2>&1 || { cat "$work/apt" >&2; fail "apt-get $*"; }; }

# The same for what must not fail.
run() { inside "$@" || fail "$*"; }

step() { echo "== $*"; }
fail() {
    echo "FAILED: $*" >&2
    if [ -n "$pid" ]; then
        inside systemctl status --no-pager -l ringgear.service gearman-job-server.service >&2 || true
        inside journalctl --no-pager -n 30 -u ringgear.service >&2 || true
        inside sh -c 'tail -n 20 /var/log/gearman-job-server/gearmand.log' >&2 || true
    fi
    exit 1
}
# is WHAT EXPECTED COMMAND...: what the command prints, with blanks for tabs.
is() {
    what=$1 expected=$2
    shift 2
    found=$(inside "$@" 2>&1 | tr '\t' ' ') || true
    [ "$found" = "$expected" ] || fail "$what: '$found' instead of '$expected'"
}
holds() { inside sh -c "$1" >/dev/null 2>&1 || fail "this does not hold: $1"; }
holds_not() { ! inside sh -c "$1" >/dev/null 2>&1 || fail "this holds: $1"; }
answers() {
    tries=0
    until inside sh -c 'gearadmin --server-version' >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 60 ] || fail "no job server answers"
        sleep 0.5
    done
}
# queue FUNCTION N: so many background jobs.
queue() { inside sh -c "for job in \$(seq $2); do gearman -b -f $1 \"job \$job\"; done" || fail "cannot queue jobs"; }
queued() { is "jobs of $1" "$1 $2 0 0" sh -c "gearadmin --status | grep '^$1'"; }
# Takes one job.
work() { inside timeout 20 gearman -w -c 1 -f "$1" -- cat >/dev/null || fail "no job of $1 can be had"; }
runs_gearmand() {
    answers
    is "the unit" active systemctl is-active gearman-job-server.service
    is "the program" /usr/sbin/gearmand sh -c 'readlink /proc/$(cat /run/gearman/gearmand.pid)/exe'
}
runs_ringgear() {
    answers
    is "the unit under its old name" active systemctl is-active gearman-job-server.service
    is "the unit" active systemctl is-active ringgear.service
    is "the program" /usr/sbin/ringgear sh -c 'readlink /proc/$(cat /run/gearman/gearmand.pid)/exe'
    is "its user" gearman sh -c 'stat -c %U /proc/$(cat /run/gearman/gearmand.pid)'
    is "its main process" "$(inside cat /run/gearman/gearmand.pid)" systemctl show -P MainPID ringgear.service
}
# fresh: a system without any of the packages. The debs lie in /debs.
fresh() {
    power_off
    rm -rf "$work/root"
    cp -a --reflink=auto "$base" "$work/root"
    mkdir "$work/root/debs"
    cp "$debs"/ringgear_*.deb "$work/root/debs/ringgear.deb"
    cp "$debs"/ringgear-gearmand_*.deb "$work/root/debs/ringgear-gearmand.deb"
    power_on
}

step "gearman-job-server with options, and jobs in its SQLite table"
fresh
apt install gearman-job-server gearman-tools
run sh -c 'cat >/etc/default/gearman-job-server' <<'PARAMS'
# Ours since 2014. Do not touch.
PARAMS="--listen=localhost \
 --daemon \
 --job-retries=3 --verbose=INFO \
 --queue-type=libsqlite3 --libsqlite3-db=/var/lib/gearman/queue.db \
 --log-file=/var/log/gearman-job-server/gearmand.log"
PARAMS
run systemctl restart gearman-job-server
answers
queue kept 5
queued kept 5
before=$(inside cat /run/gearman/gearmand.pid)
settings=$(inside md5sum /etc/default/gearman-job-server)

step "ringgear beside it takes nothing"
apt install /debs/ringgear.deb
grep -q "not enabled" "$work/apt" || fail "nobody is told that the service is not enabled: $(cat "$work/apt")"
is "the gearmand" "$before" cat /run/gearman/gearmand.pid
runs_gearmand
is "the other unit" disabled systemctl is-enabled ringgear.service
holds_not 'systemctl is-active ringgear.service'
holds 'man -w ringgear && man -w ringgear-store-check && man -w 7 ringgear-limits'
holds 'test -s /usr/share/bash-completion/completions/ringgear && test -s /usr/share/zsh/vendor-completions/_ringgear'
holds 'test -s /usr/share/fish/vendor_completions.d/ringgear.fish'
holds 'ringgear ping'

step "ringgear-gearmand in its place"
apt install /debs/ringgear-gearmand.deb
runs_ringgear
is "gearman-job-server" "config-files" dpkg-query -W -f '${db:Status-Status}' gearman-job-server
is "the options" "$settings" md5sum /etc/default/gearman-job-server
queued kept 5
holds 'grep -q ringgear /var/log/gearman-job-server/gearmand.log'
holds "tr '\\0' ' ' </proc/\$(cat /run/gearman/gearmand.pid)/cmdline | grep -q -- '--daemon --job-retries=3 --verbose=INFO'"
holds 'ss -ltn | grep -q 127.0.0.1:4730'
holds_not 'ss -ltn | grep -q 0.0.0.0:4730'
work kept
queued kept 4
run systemctl restart gearman-job-server
runs_ringgear
queued kept 4
step "its log is rotated by the snippet that was left"
run mv /var/log/gearman-job-server/gearmand.log /var/log/gearman-job-server/gearmand.log.1
run sh -c 'kill -HUP $(cat /run/gearman/gearmand.pid)'
tries=0
until inside test -e /var/log/gearman-job-server/gearmand.log; do
    tries=$((tries + 1))
    [ $tries -lt 40 ] || fail "the log is not opened again"
    sleep 0.25
done

step "killed, it comes back; stopped, it has its time"
run sh -c 'kill -KILL $(cat /run/gearman/gearmand.pid)'
tries=0
until inside sh -c 'test -d /proc/$(cat /run/gearman/gearmand.pid)' 2>/dev/null && inside gearadmin --server-version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 40 ] || fail "it is not started again"
    sleep 0.25
done
runs_ringgear
queued kept 4
run systemctl restart gearman-job-server
holds_not 'journalctl -u ringgear | grep -q SIGKILL'

step "configured again and again"
run dpkg-reconfigure ringgear ringgear-gearmand
apt install --reinstall /debs/ringgear.deb /debs/ringgear-gearmand.deb
runs_ringgear
queued kept 4

step "after a boot"
power_off
power_on
runs_ringgear
queued kept 4

step "back"
apt install gearman-job-server
runs_gearmand
queued kept 4
work kept
queued kept 3
is "the options" "$settings" md5sum /etc/default/gearman-job-server
holds_not 'systemctl is-active ringgear.service'
holds_not 'systemctl is-enabled ringgear.service'
holds_not 'dpkg-query -W -f "\${db:Status-Status}" ringgear-gearmand | grep -qx installed'
holds_not 'test -L /usr/sbin/gearmand'

step "back, after a boot"
power_off
power_on
runs_gearmand
queued kept 3

step "there again; gearman-job-server is purged while ours runs, and while it does not"
apt install /debs/ringgear-gearmand.deb
runs_ringgear
queued kept 3
run sh -c 'echo "PARAMS=\"--listen=localhost --daemon --log-file=/var/log/gearman-job-server/gearmand.log\"" >/etc/default/gearman-job-server'
run sh -c 'echo "RINGGEAR_OPTIONS=\"--data-dir=/var/lib/ringgear\"" >/etc/default/ringgear'
run systemctl restart ringgear
answers
queue logged 4
apt purge gearman-job-server
# It has taken the log and the pid file away; the server does not mind.
queued logged 4
run systemctl restart ringgear
runs_ringgear
queued logged 4
run systemctl stop ringgear
inside sh -c 'userdel gearman; groupdel gearman; rm -rf /var/log/gearman-job-server' >/dev/null 2>&1 || true
holds_not 'getent passwd gearman'
run systemctl start ringgear
runs_ringgear
queued logged 4
power_off
power_on
runs_ringgear
queued logged 4

step "purged: first ringgear-gearmand, then ringgear"
apt purge ringgear-gearmand
holds_not 'ss -ltn | grep -q :4730'
holds_not 'test -e /usr/sbin/gearmand || test -e /var/log/gearman-job-server'
holds 'test -e /var/lib/ringgear'
apt purge ringgear
holds_not 'test -e /var/lib/ringgear || test -e /var/lib/private/ringgear || test -e /etc/default/ringgear || test -e /usr/sbin/ringgear'
is "what is left" "" sh -c 'find /etc /usr /var/lib/systemd -name "*ringgear*" -o -name "gearman-job-server.service*"'

step "both without a gearman-job-server, which comes later; ours are purged while it runs"
fresh
apt install gearman-tools
apt install /debs/ringgear.deb /debs/ringgear-gearmand.deb
runs_ringgear
holds 'ss -ltn | grep -q 127.0.0.1:4730'
apt install gearman-job-server
runs_gearmand
apt purge ringgear-gearmand ringgear
runs_gearmand
holds 'test -s /etc/default/gearman-job-server && test -d /var/log/gearman-job-server'
queue plain 1
queued plain 1

step "ringgear beside a gearmand of no package"
run cp /usr/sbin/gearmand /usr/local/sbin/gearmand
apt purge gearman-job-server
run systemd-run --quiet --unit=own-gearmand /usr/local/sbin/gearmand --listen=localhost --log-file=none --pid-file=/run/own-gearmand.pid
answers
queue own 1
apt install /debs/ringgear.deb
grep -q "somebody listens on port 4730" "$work/apt" || fail "nobody is told that the port is taken: $(cat "$work/apt")"
holds_not 'systemctl is-active ringgear.service'
is "the unit" disabled systemctl is-enabled ringgear.service
queued own 1
is "the program" /usr/local/sbin/gearmand sh -c 'readlink /proc/$(cat /run/own-gearmand.pid)/exe'
apt purge ringgear
queued own 1
run systemctl stop own-gearmand.service
run rm /usr/local/sbin/gearmand

step "ringgear alone"
apt install /debs/ringgear.deb
answers
is "the unit" "active" systemctl is-active ringgear.service
is "the unit" "enabled" systemctl is-enabled ringgear.service
queue logged 2
apt install --reinstall /debs/ringgear.deb
answers
queued logged 2
apt remove ringgear
holds_not 'ss -ltn | grep -q :4730'
apt install /debs/ringgear.deb
power_off
power_on
answers
queued logged 2

step "ringgear alone becomes gearmand, with its jobs"
run sh -c 'echo "RINGGEAR_OPTIONS=\"--data-dir=/var/lib/ringgear\"" >/etc/default/ringgear'
apt install /debs/ringgear-gearmand.deb
runs_ringgear
queued logged 2

step "removed, and purged: first ringgear, then ringgear-gearmand"
apt remove ringgear
is "the other one" "config-files" dpkg-query -W -f '${db:Status-Status}' ringgear-gearmand
holds_not 'ss -ltn | grep -q :4730'
holds 'test -e /var/lib/ringgear'
apt purge ringgear
holds_not 'test -e /var/lib/ringgear || test -e /var/lib/private/ringgear || test -e /etc/default/ringgear || test -e /usr/sbin/ringgear'
apt purge ringgear-gearmand
holds_not 'test -e /usr/sbin/gearmand || test -e /var/log/gearman-job-server'
is "what is left" "" sh -c 'find /etc /usr /var/lib/systemd -name "*ringgear*" -o -name "gearman-job-server.service*"'

echo "all is well"
