#!/bin/sh
# The Node.js libraries for the client checks, in DIR/node, in the versions of node/package-lock.json.
set -eu
folder=$1

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm
fi

# The lock is copied last, so that it says what is there.
lock=$(cd "$(dirname "$0")/../node" && pwd)/package-lock.json
if ! cmp -s "$lock" "$folder/node/installed-lock.json"; then
    rm -rf "$folder/node"
    mkdir -p "$folder/node"
    cp "$lock" "$(dirname "$lock")/package.json" "$folder/node/"
    # None of them needs to run anything to be installed.
    npm ci --prefix "$folder/node" --ignore-scripts --no-audit --no-fund --loglevel=error
    cp "$lock" "$folder/node/installed-lock.json"
fi
