//! What the answers of a batch say, each against its own question.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// What one answer of a batch is.
pub(in crate::chain::client) enum Read<T> {
    Good(T),
    /// The endpoint has no such block (yet).
    Absent,
    Malformed(String),
    Wrong(String),
}

impl<T: DeserializeOwned> Read<T> {
    /// An answer that must pass a check, or is `null`.
    pub(in crate::chain::client) fn checked(
        answer: &RawValue,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Self {
        match serde_json::from_str::<Option<T>>(answer.get()) {
            Ok(Some(value)) => match check(&value) {
                Ok(()) => Self::Good(value),
                Err(reason) => Self::Wrong(reason),
            },
            Ok(None) => Self::Absent,
            Err(error) => Self::Malformed(error.to_string()),
        }
    }
}
