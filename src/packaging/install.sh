#!/bin/sh
# Installs Ringgear: install.sh [--as-gearmand] [PREFIX]. PREFIX is /usr/local if there is none; DESTDIR in the environment
# goes before every path, for packages. What is installed is PROGRAM from the environment, or what
# `cargo build --release` has built.
#
# With --as-gearmand, PREFIX/sbin/gearmand is a link to it, so that scripts which start gearmand start Ringgear. A gearmand
# that is there already is left alone, and nothing is installed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
as_gearmand=
prefix=/usr/local
for word in "$@"; do
    case $word in
    --as-gearmand) as_gearmand=yes ;;
    -*)
        echo "usage: [DESTDIR=DIR] [PROGRAM=FILE] install.sh [--as-gearmand] [PREFIX]" >&2
        exit 1
        ;;
    *) prefix=$word ;;
    esac
done

program=${PROGRAM:-${CARGO_TARGET_DIR:-$here/../../target}/release/ringgear}
if ! [ -x "$program" ]; then
    echo "install.sh: there is no $program: build it with \`cargo build --release\`" >&2
    exit 1
fi
root=${DESTDIR:-}$prefix
link=$root/sbin/gearmand
if [ -n "$as_gearmand" ] && [ "$(readlink "$link")" != ringgear ] && { [ -e "$link" ] || [ -L "$link" ]; }; then
    echo "install.sh: $link is there already: remove that gearmand first" >&2
    exit 1
fi

unit=$(mktemp)
trap 'rm -f "$unit"' EXIT
sed "s|@PROGRAM@|$prefix/sbin/ringgear|" "$here/ringgear.service" >"$unit"
install -D -m 755 "$program" "$root/sbin/ringgear"
install -D -m 644 "$unit" "$root/lib/systemd/system/ringgear.service"
install -D -m 644 "$here/ringgear.logrotate" "$root/share/ringgear/logrotate"
if [ -n "$as_gearmand" ]; then
    ln -sf ringgear "$link"
fi
