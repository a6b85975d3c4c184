//! Finding the programs that meritd starts: `nats-server`, and `anvil` for
//! the demo.

use std::{env, path::PathBuf};

/// Looks for a program in the folder that `MERITD_TOOLS_DIR` names, in
/// `.tools/bin` of the working folder and its parents (where `make tools`
/// puts what PATH lacks), then on PATH.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let named = env::var_os("MERITD_TOOLS_DIR").map(PathBuf::from);
    let here = env::current_dir().unwrap_or_default();
    let checkouts = here.ancestors().map(|folder| folder.join(".tools/bin")).collect::<Vec<_>>();
    let path = env::var_os("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(checkouts)
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
