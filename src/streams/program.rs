//! Finds the `nats-server` program and checks that it is new enough.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use super::version::ServerVersion;

/// Why there is no usable `nats-server`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It is nowhere.
    #[error(
        "no `nats-server` in {searched}; run `scripts/install-tools.sh`, or put nats-server {needed} or newer on PATH, or set `nats.mode = \"external\"`"
    )]
    Missing {
        /// Where it was looked for.
        searched: String,
        /// The oldest that will do.
        needed: ServerVersion,
    },
    /// It does not run.
    #[error("`{program}` does not run here: {reason}; put a nats-server {needed} or newer on PATH")]
    DoesNotRun {
        /// Its path.
        program: String,
        /// What the attempt ended with.
        reason: String,
        /// The oldest that will do.
        needed: ServerVersion,
    },
    /// It lacks what meritd builds on.
    #[error(
        "`{program}` is version {found}; meritd needs {needed} or newer: run `scripts/install-tools.sh`, or put a newer one first on PATH"
    )]
    TooOld {
        /// Its path.
        program: String,
        /// As it names itself.
        found: String,
        /// The oldest that will do.
        needed: ServerVersion,
    },
}

/// How long a program may take to print its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks for `nats-server` in the folder that `MERITD_TOOLS_DIR` names, then
/// on PATH, then in the folders given.
///
/// # Errors
/// [`ProgramError::Missing`] when it is in none of them.
pub fn find_nats_server(more_folders: &[PathBuf]) -> Result<PathBuf, ProgramError> {
    let tools = env::var_os("MERITD_TOOLS_DIR");
    let path = env::var_os("PATH").unwrap_or_default();
    find_in(tools, &path, more_folders)
}

fn find_in(
    tools: Option<OsString>,
    path: &OsString,
    more_folders: &[PathBuf],
) -> Result<PathBuf, ProgramError> {
    tools
        .as_ref()
        .map(PathBuf::from)
        .into_iter()
        .chain(env::split_paths(path))
        .chain(more_folders.iter().cloned())
        .map(|folder| folder.join("nats-server"))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            let mut searched = vec!["PATH".to_owned()];
            searched.extend(tools.map(|folder| PathBuf::from(folder).display().to_string()));
            searched.extend(more_folders.iter().map(|folder| folder.display().to_string()));
            ProgramError::Missing { searched: searched.join(" or "), needed: ServerVersion::OLDEST }
        })
}

/// Asks the program for its version.
///
/// # Errors
/// When it does not run or is too old.
pub(super) async fn check(program: &Path) -> Result<(), ProgramError> {
    nats_server_version(program).await.map(drop)
}

/// The program's version, when it is new enough.
///
/// # Errors
/// When it does not run or is too old.
pub async fn nats_server_version(program: &Path) -> Result<ServerVersion, ProgramError> {
    let shown = || program.display().to_string();
    let does_not_run = |reason: String| ProgramError::DoesNotRun {
        program: shown(),
        reason,
        needed: ServerVersion::OLDEST,
    };
    let call = Command::new(program).arg("--version").kill_on_drop(true).output();
    let output = tokio::time::timeout(VERSION_TIMEOUT, call)
        .await
        .map_err(|_| does_not_run("it printed no version within 5 s".to_owned()))?
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                return ProgramError::Missing { searched: shown(), needed: ServerVersion::OLDEST };
            }
            does_not_run(error.to_string())
        })?;
    let printed = String::from_utf8_lossy(&output.stdout);
    accept(program, &printed)
}

/// Judges what `nats-server --version` printed: `nats-server: v2.15.1`.
fn accept(program: &Path, printed: &str) -> Result<ServerVersion, ProgramError> {
    let program = program.display().to_string();
    let needed = ServerVersion::OLDEST;
    let version = printed.split_whitespace().find_map(|word| word.parse::<ServerVersion>().ok());
    match version {
        Some(version) if version >= needed => Ok(version),
        Some(version) => Err(ProgramError::TooOld { program, found: version.to_string(), needed }),
        None => Err(ProgramError::DoesNotRun {
            program,
            reason: "it prints no version".to_owned(),
            needed,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_missing_program_is_told_with_the_remedy() {
        let empty = tempfile::tempdir().unwrap();
        let folder = empty.path().to_path_buf();
        let error = find_in(None, &folder.clone().into_os_string(), std::slice::from_ref(&folder))
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("scripts/install-tools.sh") && text.contains("2.12.0"), "{text}");
        assert!(text.contains(&folder.display().to_string()), "{text}");
    }

    #[tokio::test]
    async fn a_program_that_is_no_nats_server_is_told_as_such() {
        let error = check(Path::new("/nowhere/nats-server")).await.unwrap_err();
        assert!(matches!(error, ProgramError::Missing { .. }), "{error}");
        let error = check(Path::new("/bin/true")).await.unwrap_err();
        assert!(matches!(error, ProgramError::DoesNotRun { .. }), "{error}");
    }

    #[test]
    fn an_old_program_is_refused() {
        let at = Path::new("/usr/sbin/nats-server");
        assert!(accept(at, "nats-server: v2.15.1\n").is_ok());
        let error = accept(at, "nats-server: v2.9.10\n").unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ProgramError::TooOld { .. }), "{text}");
        assert!(text.contains("2.9.10") && text.contains("/usr/sbin/nats-server"), "{text}");
    }
}
