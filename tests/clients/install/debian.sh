#!/bin/sh
# Debian's packages for the client checks, where one is missing.
set -eu

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

packages='gcc libc6-dev libgearman-dev libgearman-client-perl php8.2-cli php8.2-gearman'
missing=
for package in $packages; do
    state=$(dpkg-query --show --showformat '${db:Status-Abbrev}' "$package" 2>/dev/null) || state=none
    case $state in
        ii*) ;;
        *) missing="$missing $package" ;;
    esac
done
if [ -n "$missing" ]; then
    as_root apt-get update
    # shellcheck disable=SC2086 # words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 install -y --no-install-recommends $missing
fi
