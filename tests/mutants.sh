#!/usr/bin/env bash
# Wrong programs on purpose: which of them do the tests of a room let pass? Needs cargo-mutants.
#
#   tests/mutants.sh ROOM TESTS [options of cargo mutants]
#   tests/mutants.sh metric metric::
#   tests/mutants.sh loss loss:: -f 'src/model/loss/*.rs'
#   tests/mutants.sh defense 'defense:: -- --skip defense::text' -f 'src/defense/*.rs' --shard 0/3
#
# A mutant of the whole crate takes minutes to build. Here a room is a crate of its own and what it needs is another,
# which is built once: a mutant takes seconds. What it finds is in target/mutants/ROOM/mutants.out; what is left,
# with reasons, in tests/mutants.md.
set -euo pipefail
cd "$(dirname "$0")/.."
room=$1
tests=$2
shift 2
case $room in
    metric) below="error seed" own="metric" ;;
    loss) below="error seed ledger" own="" ;;
    model) below="error seed ledger metric" own="data model oracle" ;;
    defense) below="error seed ledger metric data model oracle detect" own="defense" ;;
    *)
        echo "room: found $room, expected metric, loss, model or defense" >&2
        exit 2
        ;;
esac
at=target/mutants
rm -rf "$at/below" "$at/$room"

# crate FOLDER NAME ROOMS: sources of some rooms, with what their tests read.
crate() {
    mkdir -p "$1/src" "$1/tests"
    cp Cargo.lock build.rs "$1"
    cp -r assets "$1"
    cp -r tests/vectors "$1/tests"
    sed -e "s/^name = \"retort\"/name = \"$2\"/" -e '/^\[\[bench\]\]/,$d' Cargo.toml >"$1/Cargo.toml"
    for name in $3; do
        cp -r "src/$name" "$1/src/" 2>/dev/null || cp "src/$name.rs" "$1/src/"
        echo "pub mod $name;" >>"$1/src/lib.rs"
    done
}
crate "$at/below" below "$below"
crate "$at/$room" retort "$own"
if [ "$room" = loss ]; then
    # What losses use of their room and of the oracle: the whole takes four times as long to build.
    mkdir -p "$at/loss/src/model/cpu" "$at/loss/src/model/layer"
    cp -r src/model/loss "$at/loss/src/model/"
    cp src/model/cpu/math.rs "$at/loss/src/model/cpu/"
    cp src/model/layer/texts.rs "$at/loss/src/model/layer/"
    cat >"$at/loss/src/model/mod.rs" <<'END'
pub mod loss;
mod cpu { mod math; pub(super) use math::{exp64, vectors}; }
mod layer { pub mod texts; }
END
    sed '/^pub mod /d' src/oracle/mod.rs >"$at/loss/src/oracle.rs"
    echo "pub mod model; pub mod oracle;" >>"$at/loss/src/lib.rs"
fi
# What rooms share among themselves, and what their tests share, is seen from another crate only if it is public.
find "$at/below/src" -name '*.rs' -exec sed -i 's/pub(crate)/pub/' {} +
find "$at/below/src" -name mod.rs -exec sed -i '/^#\[cfg(test)\]$/{N;s/.*\n\(pub mod\)/\1/}' {} +
echo "pub use error::{Error, Result}; pub use seed::Seed;" >>"$at/below/src/lib.rs"
echo "pub use below::{Error, Result, Seed, ${below// /, }};" >>"$at/$room/src/lib.rs"
cat >>"$at/$room/Cargo.toml" <<'END'

[workspace]

[profile.dev]
opt-level = 1
# Optimising across the parts of a crate would double the time that a mutant takes to build.
lto = "off"
debug = 0

[profile.dev.package."*"]
opt-level = 2
END
sed -i 's|^\[dependencies\]|&\nbelow = { path = "../below" }|' "$at/$room/Cargo.toml"
cd "$at/$room"
# TESTS are words for cargo test: a filter, and more behind another --.
# shellcheck disable=SC2086
CARGO_TARGET_DIR=$PWD/../build cargo mutants --in-place --timeout 20 --no-times "$@" -- --lib $tests
