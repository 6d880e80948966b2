#!/bin/sh
# Installs what the examples need and is not there: the libraries and tools of the talks, from Debian's packages. Supervisor's may start
# a service, which is in nobody's way: the examples have processes and a network of their own.
set -eu

missing=
for package in apache2-bin gearman-job-server gearman-tools iproute2 libgearman-client-perl php8.2-cli php8.2-gearman \
    php8.2-imagick postgresql procps supervisor util-linux; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
    ii*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

as_root apt-get update
# shellcheck disable=SC2086 # several words on purpose
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
