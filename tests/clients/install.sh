#!/bin/sh
# Installs what the client checks need, where it is missing: `install.sh DIR`. Debian's packages go to the system, all
# else below DIR.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")"
for part in install/*.sh; do
    sh "$part" "$folder"
done
