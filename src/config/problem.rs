//! What is wrong with a configuration, said so that a person can mend it.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file (or variable) that says it.
    pub file: String,
    /// The key's path, like `contracts[1].address`.
    pub key: String,
    /// The value as written, if there is one and it may be shown.
    pub value: Option<String>,
    /// What is wrong with it.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.key)?;
        if let Some(value) = &self.value {
            let shown: String = value.chars().take(80).collect();
            write!(f, " = `{shown}`")?;
        }
        write!(f, ": {}; {}", self.why, self.remedy)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// All that was found, at least one.
    pub problems: Vec<Problem>,
}
