#!/bin/sh
# Installs Ringgear: install.sh [--as-gearmand] [PREFIX]. PREFIX is /usr/local if there is none; DESTDIR in the environment
# goes before every path, for packages. What is installed is PROGRAM from the environment, or the program beside this script, or
# what `cargo build --release` has built; it writes its manual pages and completions itself.
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

if [ -x "$here/ringgear" ]; then
    built=$here/ringgear
else
    built=${CARGO_TARGET_DIR:-$here/../../target}/release/ringgear
fi
program=${PROGRAM:-$built}
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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unit=$work/unit
sed "s|@PROGRAM@|$prefix/sbin/ringgear|" "$here/ringgear.service" >"$unit"
"$program" man "$work/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$work/$shell"
done
install -D -m 755 "$program" "$root/sbin/ringgear"
install -D -m 644 "$unit" "$root/lib/systemd/system/ringgear.service"
install -D -m 644 "$here/ringgear.logrotate" "$root/share/ringgear/logrotate"
install -D -m 644 "$here/prometheus/ringgear.rules.yml" "$root/share/ringgear/ringgear.rules.yml"
install -D -m 644 "$here/prometheus/ringgear.board.json" "$root/share/ringgear/ringgear.board.json"
install -D -m 644 -t "$root/share/man/man7" "$work/man"/*.7
install -D -m 644 -t "$root/share/man/man8" "$work/man"/*.8
install -D -m 644 "$work/bash" "$root/share/bash-completion/completions/ringgear"
install -D -m 644 "$work/zsh" "$root/share/zsh/site-functions/_ringgear"
install -D -m 644 "$work/fish" "$root/share/fish/vendor_completions.d/ringgear.fish"
if [ -n "$as_gearmand" ]; then
    ln -sf ringgear "$link"
    ln -sf ringgear.8 "$root/share/man/man8/gearmand.8"
fi
