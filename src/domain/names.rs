//! Names that stand in configuration, in NATS subjects and in metric labels.

use std::{borrow::Borrow, fmt, str::FromStr};

use compact_str::CompactString;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// A configured name (chain, contract, rule set, signer, achievement): one
/// NATS subject token of 1–64 characters of `a-z`, `0-9`, `_`, `-`, starting
/// with a letter.
///
/// Events carry several and evidence many, so short ones lie in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(CompactString);

/// What of a text that is no name is repeated in the error, in characters.
const GIVEN_CHARS_MAX: usize = 80;

/// Why a string is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not a name: use 1 to 64 characters of a-z, 0-9, `_` and `-`, starting with a letter"
)]
pub struct InvalidName {
    /// What was given, cut at 80 characters.
    pub given: String,
}

impl Name {
    /// Longest name, in characters.
    pub const MAX_LEN: usize = 64;

    /// Checks and wraps a name.
    ///
    /// # Errors
    /// When `text` is empty, too long, starts with something else than a
    /// letter or has a character that a subject token can't carry.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
        let text = text.as_ref();
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let rest =
            bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if starts && rest && text.len() <= Self::MAX_LEN {
            Ok(Self(CompactString::new(text)))
        } else {
            Err(InvalidName { given: text.chars().take(GIVEN_CHARS_MAX).collect() })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Name, E> {
                Name::new(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_subject_token() {
        for good in ["dao", "first-vote", "a_1"] {
            assert_eq!(Name::new(good).map(String::from), Ok(good.to_owned()));
        }
        let long = "a".repeat(65);
        for bad in ["", "1st", "-a", "a.b", "a b", "A", "é", "a>", "*", long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_name_is_not_repeated_whole() {
        let told = Name::new("(".repeat(100_000)).map_err(|error| error.to_string());
        assert!(told.is_err_and(|told| told.len() < 200));
    }
}
