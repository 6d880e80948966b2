#!/bin/sh
# The Python libraries for the client checks: each in a folder of its own below DIR/python, since several of them call
# their module `gearman`; and a virtual environment in DIR/venv, whose pip and interpreter are used.
set -eu
folder=$1

# A library, and what it needs: the versions that the checks are written for.
libraries='
    gearman3     gearman3==0.2.1
    pygearman    pygearman==0.2.6
    python3-gearman python3-gearman==0.1.0
    gear         gear==0.16.0 six==1.17.0 extras==1.0.0 pbr==7.1.3 python-daemon==3.1.2 lockfile==0.12.2 setuptools==80.9.0
    aiogear      aiogear==0.2.6
'

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if ! [ -x "$folder/venv/bin/pip" ]; then
    # On Debian the modules are there without python3-venv, but not what they unpack.
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        as_root apt-get update
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
    fi
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
fi

echo "$libraries" | while read -r library needs; do
    [ -n "$library" ] || continue
    # The list is written when all of it is there.
    installed=$folder/python/$library/installed
    [ -f "$installed" ] && [ "$(cat "$installed")" = "$needs" ] && continue
    rm -rf "$folder/python/$library"
    # shellcheck disable=SC2086 # words
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$folder/python/$library" $needs
    echo "$needs" >"$installed"
done
