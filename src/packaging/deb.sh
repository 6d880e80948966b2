#!/bin/sh
# Makes the Debian packages ringgear and ringgear-gearmand: deb.sh [DIR]. DIR is target/debian if there is none.
#
# PROFILE in the environment is another profile of cargo's than `release`, for tests: its program is taken as it is built, and packed
# quickly. cargo-deb comes from crates.io, by name, if it is not there.
set -eu

CARGO_DEB=3.8.0

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
out=${1:-$target/debian}
profile=${PROFILE:-release}
cd "$root"
if ! cargo deb --version >/dev/null 2>&1; then
    cargo install cargo-deb --locked --version "$CARGO_DEB"
fi
case $profile in
dev) folder=debug quick="--strip --fast" ;;
release) folder=release quick= ;;
*) folder=$profile quick="--strip --fast" ;;
esac
cargo build --locked --workspace --bin ringgear --profile "$profile"

# The packages have what install.sh installs. Where cargo-deb reads `target/release/`, it means the folder of the profile.
rm -rf "$target/$folder/packaging"
DESTDIR=$target/$folder/packaging PROGRAM=$target/$folder/ringgear "$here/install.sh" /usr
gzip -9nr "$target/$folder/packaging/usr/share/man"
mkdir -p "$out"
rm -f "$out"/ringgear_*.deb "$out"/ringgear-gearmand_*.deb
for variant in "" gearmand; do
    # shellcheck disable=SC2086 # no word is no option
    cargo deb --package ringgear --no-build --profile "$profile" $quick ${variant:+--variant=$variant} --output "$out/"
done
