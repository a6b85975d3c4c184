//! Secrets and where they are: `env:NAME` or `file:PATH`, never in a
//! configuration file itself.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// A secret value. It shows itself to nobody: `Debug` and `Display` say
/// `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// Alone in a file that only its owner can read.
    File(PathBuf),
    /// In the configuration itself: allowed for endpoint URLs only, and
    /// still never shown whole.
    Literal(Secret),
}

/// Why a secret can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is missing.
    #[error("environment variable `{0}` is not set; set it, or name another with `env:NAME`")]
    Unset(String),
    /// The file can't be read.
    #[error("{path}: {source}; create it with the secret alone in it, mode 0600")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others can read the file.
    #[error("{path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Nothing in it.
    #[error("the secret from {0} is empty; put it there")]
    Empty(String),
}

impl SecretRef {
    /// Reads `env:NAME` and `file:PATH`; anything else is no reference.
    #[must_use]
    pub fn parse(text: &str, dir: &Path) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            return (!name.is_empty()).then(|| Self::Env(name.to_owned()));
        }
        let path = text.strip_prefix("file:")?;
        (!path.is_empty()).then(|| Self::File(dir.join(path)))
    }

    /// Fetches the secret.
    ///
    /// # Errors
    /// When it is not there, empty, or in a file that others can read.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        let value = match self {
            Self::Env(name) => std::env::var(name).map_err(|_| SecretError::Unset(name.clone()))?,
            Self::File(path) => {
                refuse_exposed(path)?;
                fs::read_to_string(path)
                    .map_err(|source| SecretError::Unreadable { path: path.clone(), source })?
            }
            Self::Literal(secret) => return Ok(secret.clone()),
        };
        let value = value.trim();
        if value.is_empty() {
            return Err(SecretError::Empty(self.to_string()));
        }
        Ok(Secret::new(value.to_owned()))
    }
}

/// Refuses a file that its group or others can read.
fn refuse_exposed(path: &Path) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path)
        .map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(SecretError::Exposed { path: path.to_owned(), mode })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Literal(secret) => secret.fmt(f),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?} {secret}"), "[redacted] [redacted]");
        let literal = SecretRef::Literal(secret);
        assert_eq!(format!("{literal:?} {literal}"), "[redacted] [redacted]");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(&path, "s3cret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let reference = SecretRef::parse("file:key", dir.path()).unwrap();
        assert!(matches!(reference.resolve(), Err(SecretError::Exposed { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(reference.resolve().unwrap().expose(), "s3cret");
        fs::write(&path, " \n").unwrap();
        assert!(matches!(reference.resolve(), Err(SecretError::Empty(_))));
    }

    #[test]
    fn a_literal_is_no_reference() {
        let dir = Path::new("/");
        for bad in ["0xabc", "env:", "file:", "", "ENV:X"] {
            assert_eq!(SecretRef::parse(bad, dir), None, "{bad}");
        }
    }
}
