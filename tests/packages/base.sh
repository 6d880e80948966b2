#!/bin/sh
# base.sh DIR: a fresh Debian 12 in DIR, with systemd, and with the packages to compare with downloaded and not installed. Nothing is done
# if it is there. Needs root, debootstrap and the network.
set -eu
base=$1
[ -e "$base/complete" ] && exit 0
if ! command -v debootstrap >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap
fi
rm -rf "$base"
mkdir -p "$base"
debootstrap --variant=minbase --include=systemd,systemd-sysv,init-system-helpers,iproute2,man-db,logrotate bookworm "$base"
cp /etc/resolv.conf "$base/etc/resolv.conf"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >"$base/etc/hosts"
# Neither a terminal nor a network is there to wait for.
for unit in console-getty.service systemd-networkd-wait-online.service; do
    ln -sf /dev/null "$base/etc/systemd/system/$unit"
done
chroot "$base" apt-get update
chroot "$base" apt-get install -y --no-install-recommends --download-only gearman-job-server gearman-tools
touch "$base/complete"
