//! The command line of meritd; each subcommand is a file in `cli/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    meritd::cli::main()
}
