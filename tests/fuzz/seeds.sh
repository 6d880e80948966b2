#!/bin/sh
# Writes what the fuzzers begin with, a folder for each target, to tests/fuzz/corpus: what peers say in the transcripts, the
# jobs that come of it, and configuration files.
set -eu
cd "$(dirname "$0")/../.."
SEEDS_TO="$PWD/tests/fuzz/corpus" cargo test --locked --test seeds corpus -- --exact
