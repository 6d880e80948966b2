#!/bin/sh
# Builds Ringgear for any Linux with glibc 2.28 or later (Debian 10, RHEL 8 and all since) and packs it: release.sh [ARCH] [DIR].
# ARCH is this machine's if there is none: x86_64 or aarch64; DIR is target/release-files. What comes of it is DIR/ringgear-VERSION-ARCH-linux.tar.gz
# and DIR/SHA256SUMS. Unpacked, `install.sh` in it installs it.
#
# Zig's C compiler and linker know every glibc: cargo-zigbuild and ziglang come from PyPI, by name, into an environment of their own,
# if cargo has no `zigbuild`. PROFILE in the environment is another profile of cargo's than `release`, for tests.
set -eu

ZIGBUILD=0.24.1
ZIG=0.17.1
GLIBC=2.28
# 14.3 MB with three drivers (MySQL's alone 2.6), TLS for jobs and HTTP, the pages with what they are drawn with, and the live table.
SIZE_MAX=$((16 * 1024 * 1024))

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
arch=${1:-$(uname -m)}
target=${CARGO_TARGET_DIR:-$root/target}
out=${2:-$target/release-files}
profile=${PROFILE:-release}
case $arch in
x86_64 | aarch64) ;;
*)
    echo "release.sh: there is no $arch, only x86_64 and aarch64" >&2
    exit 1
    ;;
esac
cd "$root"

if ! cargo zigbuild --version >/dev/null 2>&1; then
    if ! [ -x "$target/zig/bin/cargo-zigbuild" ]; then
        python3 -m venv "$target/zig"
        "$target/zig/bin/pip" install --quiet "cargo-zigbuild==$ZIGBUILD" "ziglang==$ZIG"
    fi
    PATH=$target/zig/bin:$PATH
    export PATH
fi

# Lines of the source in a crash cost more than the program itself.
CARGO_PROFILE_RELEASE_STRIP=symbols
CARGO_PROFILE_RELEASE_DEBUG=false
export CARGO_PROFILE_RELEASE_STRIP CARGO_PROFILE_RELEASE_DEBUG
cargo zigbuild --locked --profile "$profile" --package ringgear --bin ringgear --target "$arch-unknown-linux-gnu.$GLIBC"
case $profile in
dev) folder=debug ;;
*) folder=$profile ;;
esac
program=$target/$arch-unknown-linux-gnu/$folder/ringgear

newest=$(readelf --version-info --wide "$program" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
if [ "$(printf '%s\n' "$newest" "$GLIBC" | sort -V | tail -n 1)" != "$GLIBC" ]; then
    echo "release.sh: $program needs glibc $newest, which is newer than $GLIBC" >&2
    exit 1
fi
size=$(stat -c %s "$program")
if [ "$profile" = release ] && [ "$size" -gt "$SIZE_MAX" ]; then
    echo "release.sh: $program has $size bytes, more than $SIZE_MAX: see what has grown, or raise SIZE_MAX with a reason" >&2
    exit 1
fi

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
name=ringgear-$version-$arch-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/$name"
install -m 755 "$program" "$here/install.sh" "$work/$name/"
install -m 644 "$here/ringgear.service" "$here/ringgear.logrotate" README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$work/$name/"
install -D -m 644 "$here/prometheus/ringgear.rules.yml" "$work/$name/prometheus/ringgear.rules.yml"
install -D -m 644 "$here/prometheus/ringgear.board.json" "$work/$name/prometheus/ringgear.board.json"
mkdir -p "$out"
# The same sources make the same file.
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" \
    -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
(cd "$out" && sha256sum ringgear-*.tar.gz >SHA256SUMS)
echo "$out/$name.tar.gz: the program has $size bytes and needs glibc $newest"
