#!/bin/sh
# Counts the instructions per job of the fixed engine runs with valgrind's callgrind, and compares them with
# results/instructions.tsv. Fails if one has grown by more than 3 % and that file does not say so.
#
#   benches/instructions.sh          compare
#   benches/instructions.sh --keep   write what was counted into the file
#
# Counts depend on the compiler: the file names it, and with another one they are shown but not judged.
set -eu
cd "$(dirname "$0")/.."
kept=results/instructions.tsv
few=2000
many=12000

command -v valgrind >/dev/null || { echo "valgrind is needed: apt-get install valgrind" >&2; exit 1; }
binary=$(cargo bench -q --locked -p ringgear-engine --bench instructions --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*instructions[^"]*\)".*/\1/p' | tail -n 1)
compiler=$(rustc --version)

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

counted=$(mktemp)
trap 'rm -f "$counted"' EXIT
{
    printf '# Instructions per job of fixed engine runs (benches/instructions.sh). %s\n' "$compiler"
    "$binary" | while read -r run; do
        before=$(count "$run" "$few")
        after=$(count "$run" "$many")
        printf '%s\t%s\n' "$run" $(((after - before) / (many - few)))
    done
} >"$counted"

if [ "${1:-}" = --keep ]; then
    cp "$counted" "$kept"
    cat "$kept"
    exit
fi
awk -F '\t' -v judge="$(head -n 1 "$kept" | grep -cF "$compiler" || true)" '
    /^#/ { next }
    NR == FNR { kept[$1] = $2; next }
    {
        seen += 1
        if (!($1 in kept)) { printf "%-28s %7d, not in the file\n", $1, $2; bad = 1; next }
        change = ($2 / kept[$1] - 1) * 100
        grown = change > 3
        printf "%-28s %7d instructions a job, %+.1f %%%s\n", $1, $2, change, grown ? "  GROWN" : ""
        if (grown) bad = 1
    }
    END {
        if (seen == 0) { print "nothing was counted"; exit 1 }
        if (!judge) { print "counted with another compiler: not judged"; exit 0 }
        exit bad
    }' "$kept" "$counted"
