#!/bin/sh
# The first process of a container: makes options of variables, and becomes the server.
#
# The variables are those of artefactual/gearmand, each an option where it is set and not empty, and only there; options behind the
# name of the image count as well, and a word of our own ("ping", "store" and so on) is run as it stands.
#
#   GEARMAND_PORT, LISTEN_PORT     --port; ignored with a line where it is no number, as what Kubernetes makes of a service
#   VERBOSE                        --verbose
#   QUEUE_TYPE                     --queue-type; with "mysql" MYSQL_HOST, MYSQL_PORT, MYSQL_USER, MYSQL_PASSWORD, MYSQL_PASSWORD_FILE,
#                                  MYSQL_DB and MYSQL_TABLE are options of these names; a password with a blank is for an option file
#   THREADS BACKLOG JOB_RETRIES WORKER_WAKEUP     the options of these names. 0 of the last wakes all workers
#   FILE_DESCRIPTORS               --file-descriptors, unless 0
#   ROUND_ROBIN                    --round-robin, unless 0
#   KEEPALIVE                      unless 0, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL and KEEPALIVE_COUNT are options of these names
#
# /etc/gearmand.conf with anything in it goes before all of these but the port, as there. KEEPALIVE alone changes nothing: idle
# connections are always probed.
set -eu

say() { echo "ringgear: $*" >&2; }

port=
for name in LISTEN_PORT GEARMAND_PORT; do
    eval "value=\${$name:-}"
    case $value in
    '') ;;
    *[!0-9]*)
        say "$name=$value is no port number, and is ignored"
        unset "$name"
        ;;
    *) port=$value ;;
    esac
done

case ${1:-} in
ping)
    shift
    exec ringgear ping ${port:+"--port=$port"} "$@"
    ;;
'' | -*) set -- ringgear "$@" ;;
ringgear | gearmand) ;;
check-migration | completions | help | man | store) exec ringgear "$@" ;;
*) exec "$@" ;;
esac
case ${2:-} in
completions | check-migration | help | man | ping | store) exec "$@" ;;
esac

program=$1
shift
options=
# add OPTION SHORT VALUE WORD...: unless it is among the words of the command line, which go first.
add() {
    option=$1 short=$2 value=$3
    shift 3
    [ -n "$value" ] || return 0
    for word in "$@"; do
        case $word in
        "--$option" | "--$option="* | "-$short"*) return 0 ;;
        esac
    done
    options="$options --$option=$value"
}

add port p "$port" "$@"
if ! [ -s /etc/gearmand.conf ]; then
    if [ "${QUEUE_TYPE:-}" = mysql ]; then
        [ -z "${MYSQL_PASSWORD_FILE:-}" ] || MYSQL_PASSWORD=$(cat "$MYSQL_PASSWORD_FILE")
        case ${MYSQL_PASSWORD:-} in
        *[[:space:]]*)
            say "MYSQL_PASSWORD has a blank: put it into the group [gearmand] of /etc/mysql/my.cnf instead"
            exit 1
            ;;
        esac
        add mysql-host mysql-host "${MYSQL_HOST:-}" "$@"
        add mysql-port mysql-port "${MYSQL_PORT:-}" "$@"
        add mysql-user mysql-user "${MYSQL_USER:-}" "$@"
        add mysql-password mysql-password "${MYSQL_PASSWORD:-}" "$@"
        add mysql-db mysql-db "${MYSQL_DB:-}" "$@"
        add mysql-table mysql-table "${MYSQL_TABLE:-}" "$@"
    fi
    add verbose verbose "${VERBOSE:-}" "$@"
    add queue-type q "${QUEUE_TYPE:-}" "$@"
    add threads t "${THREADS:-}" "$@"
    add backlog b "${BACKLOG:-}" "$@"
    add job-retries j "${JOB_RETRIES:-}" "$@"
    add worker-wakeup w "${WORKER_WAKEUP:-}" "$@"
    [ "${FILE_DESCRIPTORS:-0}" = 0 ] || add file-descriptors f "$FILE_DESCRIPTORS" "$@"
    # An option without a value may stand there twice for gearmand only.
    case "${ROUND_ROBIN:-0} $* " in
    0\ * | *" -R "* | *" --round-robin "*) ;;
    *) options="$options --round-robin" ;;
    esac
    if [ "${KEEPALIVE:-0}" != 0 ]; then
        add keepalive-idle keepalive-idle "${KEEPALIVE_IDLE:-}" "$@"
        add keepalive-interval keepalive-interval "${KEEPALIVE_INTERVAL:-}" "$@"
        add keepalive-count keepalive-count "${KEEPALIVE_COUNT:-}" "$@"
    fi
fi
# shellcheck disable=SC2086 # none of the values has blanks that mean anything
set -f && exec "$program" $options "$@"
