#!/usr/bin/env bash
# Runs one fuzzing target, or each of them, for some seconds: `scripts/fuzz.sh TARGET SECONDS [libFuzzer's flags]`.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=$1 seconds=$2
shift 2

if ! cargo fuzz --version >/dev/null 2>&1; then
    cat >&2 <<'TEXT'
fuzz: cargo-fuzz is not installed: cargo install cargo-fuzz --locked
fuzz: without it the same targets run over changed files of the corpus, on any compiler:
fuzz:     MERITD_FUZZ_CASES=20000 MERITD_FUZZ_SEED=1 cargo test --locked --all-features --lib -- fuzzing::
TEXT
    exit 69
fi

# libFuzzer needs instrumentation that stable compilers have, but only give to those who insist.
export RUSTC_BOOTSTRAP=1
for name in ${target:-$(cargo fuzz list)}; do
    echo "fuzz: $name, $seconds s" >&2
    # What it finds new goes into a folder that is not committed: a person names what stays.
    mkdir -p "fuzz/found/$name"
    cargo fuzz run "$name" "fuzz/found/$name" "fuzz/corpus/$name" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -max_len=65536 "$@"
done
