#!/bin/sh
# Checks everything: format, lints, documentation, dependencies, tests. Installs what the tests need where it is missing (Debian and its kin).
# Run from anywhere.
set -eu
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Clients to test with, the server to compare with, databases, Prometheus' reader of metrics, a terminal, and file systems to let fall. Packages may
# start servers on ports 3306, 4730, 5432, 6379, 6432, 9090 and 11211; the tests use others.
if ! { [ -x /usr/sbin/gearmand ] && [ -x /usr/sbin/mkfs.ext4 ] && [ -x /usr/sbin/mkfs.xfs ] &&
    command -v gearman && command -v gearadmin && command -v cc && command -v ip && command -v openssl &&
    command -v mariadb-install-db && command -v redis-server && command -v redis-cli && command -v memcached &&
    command -v psql && ls /usr/lib/postgresql/*/bin/postgres && command -v valgrind && command -v python3 &&
    command -v prometheus && command -v promtool && command -v stunnel && perl -MIO::Socket::SSL -MGearman::Client -e1 &&
    command -v curl && command -v systemd-analyze && python3 -c 'import ensurepip' && command -v chromium && command -v tmux && [ -x /usr/sbin/pgbouncer ]; } >/dev/null 2>&1; then
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        chromium curl gearman-job-server gearman-tools gcc iproute2 libc6-dev libgearman-client-perl libio-socket-ssl-perl mariadb-server \
        memcached openssl pgbouncer postgresql prometheus python3 python3-venv redis-server stunnel4 systemd tmux valgrind e2fsprogs xfsprogs
fi

# The test in a browser is driven by Node, of any origin.
if ! { command -v node && command -v npm; } >/dev/null; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm
fi

# What the examples of the talks are written with.
tests/talks/install.sh

# Each shard wants a ring's memory locked on kernels that count it, and each test opens many sockets.
ulimit -n "$(ulimit -H -n)" || true

# Root can mount images of file systems; where it cannot, a test that needs it must not pass unrun.
if [ "$(id -u)" = 0 ]; then export NEED_LOOP_MOUNTS=1; fi

# Everything is built once: what would only help to build it again costs time and room.
export CARGO_INCREMENTAL=0

set -x
cargo fmt --all --check
cargo clippy --workspace --all-targets --features measure --locked -- -D warnings
# Without databases, HTTP and TLS nothing may name them. The library and the program alone: for tests, the features are those of the tests.
cargo clippy -p ringgear --lib --bins --no-default-features --locked -- -D warnings
for feature in memcached mysql postgres redis sqlite tls top; do
    cargo clippy -p ringgear --lib --bins --no-default-features --features "$feature" --locked -- -D warnings
done
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
if command -v cargo-deny >/dev/null; then
    cargo deny --workspace --locked check licenses bans sources
else
    echo "NOT RUN: cargo deny, which is not there: cargo install cargo-deny --locked" >&2
fi
cargo test --workspace --locked --no-fail-fast
# The pages in a browser, on the program that was just built.
tests/browser/run.sh
# What the API's document says, asked of the same program.
tests/openapi/run.sh
# What is about connections once more, with the other way of serving sockets.
RINGGEAR_TEST_SOCKETS=epoll cargo test --workspace --locked --no-fail-fast --test abuse --test admin --test clients --test ended --test gone \
    --test limits --test listeners --test losses --test memory --test process --test shutdown --test talks --test tls --test transcripts
# What ends, overflows, is gone, abused or killed, once more with TLS below all connections, by a tunnel; of what abuses, what is about
# connections. But for four tests: peers that write to a server that stands still, and go, have sent nothing without a handshake; and
# where the port or the peer's address is the matter, it is the tunnel's. Nor for readers: the tunnel stands still with whoever does not read.
RINGGEAR_TEST_TLS=1 cargo test --workspace --locked --no-fail-fast --test ended --test gone --test limits --test shutdown -- \
    --skip connections_that_end_before_a_drain_are_read --skip who_is_gone_is_still_named \
    --skip sigterm_and_sigint_stop_at_once --skip the_port_is_free_again_at_once
RINGGEAR_TEST_TLS=1 cargo test --workspace --locked --no-fail-fast --test abuse -- connections:: payloads:: strangers::
RINGGEAR_TEST_TLS=1 RINGGEAR_KILLS=6 cargo test --workspace --locked --no-fail-fast --test durable -- killed::
if [ "$(id -u)" = 0 ]; then
    tests/packages/container.sh
else
    echo "NOT RUN: tests/packages/container.sh, which needs root" >&2
fi
benches/instructions.sh
