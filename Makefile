# Thin names over cargo and scripts/; `make` alone lists them.

# Filled by the installer only when PATH has no tool that is good enough: so it may come first.
export PATH := $(CURDIR)/.tools/bin:$(PATH)

# Extra arguments: `make demo ARGS=--keep-running`, `make bench-ingest ARGS=--quick`.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check simulate teeth torture fuzz bench soak bench-ingest bench-signing bench-rules contracts tools

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools ## play the whole story on a local chain; ARGS="--keep-running" leaves all up
	@cargo run --locked --quiet -- demo $(ARGS)

test: tools ## run all tests, on real anvil and nats-server
	@# Without the compiler (69) a person may still test the rest; an automatic run may not pass over it.
	@scripts/contracts.sh --check || { code=$$?; [ $$code = 69 ] && [ -z "$$CI" ] \
		&& echo "contracts: skipped: whether the artifacts match their sources was not checked" || exit $$code; }
	cargo test --locked --all-features

check: ## formatting and lints; warnings fail
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings

# A simulation's runtime takes its seed only with this flag; a folder of its own, as all is built anew with it.
SIMULATION = RUSTFLAGS="--cfg tokio_unstable" CARGO_TARGET_DIR="$(or $(CARGO_TARGET_DIR),target)/simulate"

simulate: ## the daemon in a simulated world, seed after seed; SEEDS=1000 (docs/reliability.md)
	@$(SIMULATION) cargo bench --locked --quiet --profile simulate --features simulation --bench simulate -- \
		--seeds $(or $(SEEDS),1000) $(ARGS)

teeth: ## bugs planted on purpose, which the simulation must find; ARGS="--only UndoSkipped" (docs/reliability.md)
	@$(SIMULATION) cargo bench --locked --quiet --profile simulate --features teeth --bench teeth -- $(ARGS)

# PROFILE=dev takes the daemon that the tests take: no build of its own beside theirs.
torture: tools ## the real daemon under everything at once, against an oracle; SEEDS=20 (docs/reliability.md)
	@cargo bench --locked --quiet $(if $(filter dev,$(PROFILE)),--profile dev --all-features) --bench torture -- --seeds $(or $(SEEDS),20) $(ARGS)

fuzz: ## bytes of others against what reads them; TARGET=logs SECONDS=60 (docs/reliability.md)
	@scripts/fuzz.sh "$(TARGET)" "$(or $(SECONDS),60)" $(ARGS)

bench: tools ## all benches, then the whole way from a block to an unlock, as one table; ARGS="--quick" tries it
	@scripts/bench.sh $(ARGS)

soak: tools ## an hour at a hundred times the pace of mainnet; MINUTES=60 (docs/benchmarks.md)
	@cargo bench --locked --quiet --bench pipeline -- --soak $(or $(MINUTES),60) --plots "$(CURDIR)/docs/benchmarks" $(ARGS)

bench-ingest: tools ## measure the way from a chain to durable events; ARGS="--quick" tries it (docs/benchmarks.md)
	@cargo bench --locked --quiet --bench ingest -- $(ARGS)

bench-signing: tools ## measure the way from an unlock request to the chain; ARGS="--quick" tries it (docs/benchmarks.md)
	@cargo bench --locked --quiet --bench signing -- $(ARGS)

bench-rules: tools ## measure how fast rules fold; ARGS="--quick" tries it (docs/benchmarks.md)
	@cargo bench --locked --quiet --bench rules -- $(ARGS)

contracts: ## rebuild contracts/artifacts from contracts/src (needs npm)
	@scripts/contracts.sh

tools: ## see to nats-server and anvil: those on PATH, else pinned ones in .tools
	@scripts/install-tools.sh
