#!/bin/sh
# Runs the benches one after the other, keeps the last line of each, and ends with the whole
# pipeline's table and pictures. Usage: scripts/bench.sh [--quick]
set -eu
cd "$(dirname "$0")/.."

results=target/bench
plots=docs/benchmarks
quick=
for argument in "$@"; do
	case $argument in
		# A try says nothing that is worth keeping.
		--quick) quick=--quick plots=$results ;;
		*) echo "bench.sh: unknown argument: $argument (there is only --quick)" >&2; exit 2 ;;
	esac
done
mkdir -p "$results"

for bench in ingest rules signing; do
	echo "== $bench" >&2
	# Not a pipe: a bench that fails ends this, too.
	cargo bench --locked --quiet --bench "$bench" -- $quick > "$results/$bench.out"
	cat "$results/$bench.out"
	tail -n 1 "$results/$bench.out" > "$results/$bench.json"
done
echo "== pipeline" >&2
cargo bench --locked --quiet --bench pipeline -- $quick --results "$PWD/$results" --plots "$PWD/$plots"
