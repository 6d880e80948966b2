#!/bin/sh
# The document of the API (/api/v1/openapi.json) and the server that it is about: tests/openapi/run.sh [PATH OF ringgear]. schemathesis makes
# requests of the document, right and wrong ones, the same each time, and looks whether each answer is one that the document tells of.
# Installs what requirements.txt names into a folder of its own below target/. Needs python3 with venv.
set -eu
cd "$(dirname "$0")"
program=$(realpath "${1:-${RINGGEAR:-../../target/debug/ringgear}}")
place=../../target/openapi

command -v python3 >/dev/null || { echo "python3 is missing: apt-get install python3 python3-venv" >&2; exit 1; }
[ -x "$program" ] || { echo "$program is missing: cargo build, or say where the program is" >&2; exit 1; }

if ! cmp -s requirements.txt "$place/.from-requirements"; then
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --no-deps --requirement requirements.txt
    cp requirements.txt "$place/.from-requirements"
fi

work=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" || true; }
    rm -rf "$work"
}
trap end EXIT
trap 'exit 1' INT TERM

# Whoever asks may do all: what is tried is the document, not who may do what.
echo 'anonymous read,peek,submit,operate' >"$work/tokens"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$program" --listen 127.0.0.1 --port "$port" --control 127.0.0.1:0 --control-tokens "$work/tokens" --log-file stderr --verbose NOTICE \
    >"$work/log" 2>&1 &
server=$!
url=
tries=0
while [ -z "$url" ]; do
    url=$(sed -n 's|.*to be looked at on \(http://[^/ ]*\)/.*|\1|p' "$work/log" | head -n 1)
    tries=$((tries + 1))
    kill -0 "$server" 2>/dev/null && [ "$tries" -lt 400 ] || { cat "$work/log" >&2; exit 1; }
    [ -n "$url" ] || sleep 0.05
done
# Something to find: a function, a job of it, and its handle.
curl --silent --show-error --fail --output /dev/null -d x "$url/api/v1/jobs?function=mail&background=true"

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
checks=$checks,unsupported_method,allow_header_conformance
"$place/bin/st" --config-file schemathesis.toml run "$url/api/v1/openapi.json" --url "$url" --checks "$checks" --no-color --warnings off \
    --request-timeout 30
kill -0 "$server" || { echo "the server has ended:" >&2; cat "$work/log" >&2; exit 1; }
