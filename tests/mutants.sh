#!/bin/sh
# Mutation as a measure: changes one thing at a time in the engine and in the log, and sees whether the simulation, the tests
# of cost and the disk model notice. Takes hours, so it is not part of `tests/all.sh`. Run from anywhere.
#
#   tests/mutants.sh                         everything
#   tests/mutants.sh --shard 3/50            the third of fifty samples (0 to 49) of each part
#   tests/mutants.sh src/engine/functions/assign.rs ...    these files only
#
# What asserts that the engine's tables fit together is left out: it is a test itself, and changes nothing. The tests with planted bugs are not
# run: they would say whether others are seen, and take most of the time. A sample is taken from all over.
#
# SIM_COUNT (default 500) is how many seeds the simulation tries for a mutant; MUTANTS_JOBS (default 1) how many mutants are
# tested side by side; MUTANTS_OUT (default target/mutants) where the lists of caught and missed ones go. The status is 0
# if none was missed, 2 if some were.
set -eu
cd "$(dirname "$0")/.."

sample=
if [ "${1:-}" = --shard ]; then
    sample="--sharding round-robin --shard ${2:?which of how many, as in 3/50}"
    shift 2
fi
command -v cargo-mutants >/dev/null || cargo install cargo-mutants --locked

export SIM_COUNT="${SIM_COUNT:-500}"
# A mutant that hangs in the simulation must not fill the memory while it does.
ulimit -v $((8 << 20))
out="${MUTANTS_OUT:-target/mutants}"
status=0
audits='\bcheck(_(abandoned|bytes|dead|functions|gate|holds|jobs|lease|looks|owners|parties|pauses|puts|queue|sleepers|stats|telling))?\b'

# One part: its name, the options that choose its tests, then the files to mutate.
part() {
    name=$1 package=$2 tests=$3 without=$4
    shift 4
    files=
    for file in "$@"; do files="$files --file $file"; done
    [ -n "$files" ] || return 0
    mkdir -p "$out/$name"
    # Words are to be split here.
    # shellcheck disable=SC2086
    cargo mutants --package "$package" --output "$out/$name" --jobs "${MUTANTS_JOBS:-1}" --timeout 300 \
        --exclude-re "$without" --no-shuffle $sample $files $([ "$package" = ringgear ] || echo --features planted) -- $tests || status=2
}

if [ $# = 0 ]; then
    set -- 'src/engine/functions/*.rs' 'src/engine/sessions/*.rs' 'src/store/log/*.rs'
fi
engine= log=
for file in "$@"; do
    case $file in
    src/store/log/*) log="$log $file" ;;
    *) engine="$engine $file" ;;
    esac
done
set -f
# shellcheck disable=SC2086
part engine ringgear-engine '--test simulation --test cost --lib -- --skip planted' "$audits" $engine
# shellcheck disable=SC2086
part log ringgear '--test disk' 'nothing is left out here' $log

for name in engine log; do
    for kind in caught missed timeout unviable; do
        list=$out/$name/mutants.out/$kind.txt
        if [ -f "$list" ]; then echo "$name $kind: $(wc -l <"$list")"; fi
    done
done
exit $status
