//! The command line of meritd; each subcommand is a file in `cli/`.

use std::process::ExitCode;

/// Messages, rows and keys come and go by the thousand, on many threads; see
/// docs/benchmarks.md for what another allocator costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    meritd::cli::main()
}
