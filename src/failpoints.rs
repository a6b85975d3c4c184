//! Places where the process may be made to die, as if by `kill -9`: for tests
//! of what holds after a crash at exactly that step.
//!
//! Off unless the configuration allows faults on purpose and names a place;
//! then a hit costs one atomic read.

use std::{
    fmt,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// A signer's books were changed in memory, and not written down.
    BeforeCommit,
    /// They are written down, and nobody was told.
    AfterCommit,
    /// A transaction is about to be signed.
    BeforeSign,
    /// It is signed, and not written down.
    AfterSign,
    /// What was written down is about to be published.
    BeforePublish,
    /// It is published, and the store does not know that yet.
    AfterPublish,
    /// Messages are written down, and not acknowledged.
    BeforeAck,
    /// They are acknowledged.
    AfterAck,
    /// A transaction is about to be sent.
    BeforeBroadcast,
    /// It was sent, and nobody noted the answer.
    AfterBroadcast,
}

impl Failpoint {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::BeforeCommit,
        Self::AfterCommit,
        Self::BeforeSign,
        Self::AfterSign,
        Self::BeforePublish,
        Self::AfterPublish,
        Self::BeforeAck,
        Self::AfterAck,
        Self::BeforeBroadcast,
        Self::AfterBroadcast,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
            Self::BeforeSign => "before_sign",
            Self::AfterSign => "after_sign",
            Self::BeforePublish => "before_publish",
            Self::AfterPublish => "after_publish",
            Self::BeforeAck => "before_ack",
            Self::AfterAck => "after_ack",
            Self::BeforeBroadcast => "before_broadcast",
            Self::AfterBroadcast => "after_broadcast",
        }
    }

    /// Ends the process here, if it was armed and this is the hit that counts.
    pub fn hit(self) {
        let Some(armed) = ARMED.get() else { return };
        if armed.at == self && armed.hits.fetch_add(1, Ordering::AcqRel) + 1 == armed.nth {
            tracing::error!(failpoint = %self, "the process dies on purpose");
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        }
    }
}

impl fmt::Display for Failpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where to die, and at which hit: `after_sign:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doom {
    /// The place.
    pub at: Failpoint,
    /// Counts from 1.
    pub nth: u32,
}

/// A text that is no [`Doom`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a failpoint")]
pub struct NoSuchFailpoint;

impl FromStr for Doom {
    type Err = NoSuchFailpoint;

    fn from_str(text: &str) -> Result<Self, NoSuchFailpoint> {
        let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
        let at = Failpoint::ALL.into_iter().find(|at| at.as_str() == name);
        let nth = nth.parse().ok().filter(|nth| *nth > 0);
        at.zip(nth).map(|(at, nth)| Self { at, nth }).ok_or(NoSuchFailpoint)
    }
}

struct Armed {
    at: Failpoint,
    nth: u32,
    hits: AtomicU32,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms it, for the life of the process.
pub fn arm(doom: Doom) {
    // The first one counts.
    let _ = ARMED.set(Armed { at: doom.at, nth: doom.nth, hits: AtomicU32::new(0) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failpoint_is_named_with_the_hit_that_counts() {
        for at in Failpoint::ALL {
            assert_eq!(at.to_string().parse(), Ok(Doom { at, nth: 1 }));
            assert_eq!(format!("{at}:7").parse(), Ok(Doom { at, nth: 7 }));
        }
        for text in ["", "after", "after_sign:", "after_sign:0", "after_sign:x", "after_sign:1:2"] {
            assert_eq!(text.parse::<Doom>(), Err(NoSuchFailpoint), "{text}");
        }
    }
}
