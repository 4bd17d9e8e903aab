#!/usr/bin/env bash
# Wall time of the 64-cell grid with one job and with two, in turns, five times each; medians and ratio.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked --quiet
program=${CARGO_TARGET_DIR:-target}/release/retort
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# A cache of its own, emptied before each run: both pay for their teachers.
export RETORT_CACHE=$folder/cache
for i in 1 2 3 4 5; do
    for jobs in 1 2; do
        rm -rf "$folder/cache" "$folder/out"
        start=$(date +%s.%N)
        "$program" run benches/grid.toml --out "$folder/out" --jobs "$jobs" >/dev/null 2>&1
        awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { printf "%.3f\n", b - a }' >>"$folder/$jobs"
    done
done
for jobs in 1 2; do
    sort -n "$folder/$jobs" | awk -v jobs=$jobs '{ s[NR] = $1 }
        END { printf "%d jobs: median %s s (%s to %s)\n", jobs, s[3], s[1], s[5] }'
done
paste <(sort -n "$folder/1") <(sort -n "$folder/2") | awk 'NR == 3 { printf "ratio %.2f\n", $1 / $2 }'
