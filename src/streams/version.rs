//! Versions of nats-server, and the oldest that meritd runs on.

use std::{fmt, str::FromStr};

/// Three numbers; what follows them (`-RC.1`, `+build`) is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl ServerVersion {
    /// Below it there is no atomic batch publishing (ADR-50), by which a block
    /// range and its watermark become visible together.
    pub const OLDEST: Self = Self { major: 2, minor: 12, patch: 0 };
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text without a version in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version")]
pub struct NoVersion(pub String);

impl FromStr for ServerVersion {
    type Err = NoVersion;

    /// Reads `2.15.1`, `v2.15.1` and `2.15.1-beta.2`.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let bad = || NoVersion(text.chars().take(80).collect());
        let trimmed = text.trim().trim_start_matches('v');
        let mut numbers = trimmed.split(['.', '-', '+']).map(str::parse);
        let mut next = || numbers.next().and_then(Result::ok).ok_or_else(bad);
        Ok(Self { major: next()?, minor: next()?, patch: next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_and_below_the_oldest_is_too_old() {
        let of = |text: &str| text.parse::<ServerVersion>();
        assert!(of("2.9.25").is_ok_and(|v| v < ServerVersion::OLDEST));
        assert!(of("2.11.99").is_ok_and(|v| v < ServerVersion::OLDEST));
        for new_enough in ["2.12.0", "v2.15.1", "2.12.0-RC.3", "3.0.0+dirty", " 10.0.0\n"] {
            assert!(of(new_enough).is_ok_and(|v| v >= ServerVersion::OLDEST), "{new_enough}");
        }
        for none in ["", "2.12", "latest", "2.x.1"] {
            assert_eq!(of(none), Err(NoVersion(none.to_owned())));
        }
    }
}
