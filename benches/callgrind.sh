#!/usr/bin/env bash
# Instructions of one training step of three networks, against benches/instructions.txt: fails when one
# has grown by more than 3 %. `--record` writes the file anew.
#
# Counted by valgrind, so no neighbour disturbs it: the difference between N and 2N steps. Valgrind shows
# programs an older processor; the file says which instruction set its numbers were taken with, and
# numbers of another are not compared.
set -euo pipefail
cd "$(dirname "$0")/.."

file=benches/instructions.txt
steps=10
cargo build --release --locked --quiet --example steps
program=${CARGO_TARGET_DIR:-target}/release/examples/steps

# Prints the instruction set and the number of instructions.
count() {
    local out
    out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1)
    awk '/^(avx512|avx2|aarch64|other)$/ { set = $1 } /Collected :/ { print set, $NF }' <<<"$out"
}

table=$(for kernel in mlp lenet decoder; do
    read -r set short < <(count "$kernel" "$steps")
    read -r _ long < <(count "$kernel" $((2 * steps)))
    echo "$set $kernel $(((long - short) / steps))"
done)

if [ "${1:-}" = --record ]; then
    { echo "# Instruction set, network, instructions of a step; $(rustc --version | cut -d' ' -f1,2)."
      echo "$table"; } >"$file"
    exit
fi

awk -v status=0 '
    /^#/ { next }
    NR == FNR { old[$1 " " $2] = $3; next }
    !(($1 " " $2) in old) { printf "%-7s %-8s %10d  not recorded: not compared\n", $1, $2, $3; next }
    {
        was = old[$1 " " $2]
        grown = 100 * ($3 / was - 1)
        printf "%-7s %-8s %10d  was %10d  %+.1f %%\n", $1, $2, $3, was, grown
        if (grown > 3) status = 1
    }
    END {
        if (status) print "More than 3 % more: find out why, or record it with a word on what it buys."
        exit status
    }' "$file" - <<<"$table"
