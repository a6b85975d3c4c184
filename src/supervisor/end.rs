//! Why an incarnation of an actor ended.

use std::{
    any::Any,
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use tokio::task::JoinError;

/// The kind of an end; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// A panic in the actor or in its factory.
    Panicked,
    /// The actor said that it cannot go on.
    Failed,
    /// It took longer than its limit, or stopped answering.
    Frozen,
    /// Its work is done for good; it is not restarted.
    Finished,
    /// It was asked to stop and had the time to.
    Drained,
    /// It was stopped without being asked, or its thread went away.
    Killed,
}

impl EndReason {
    /// The label's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Failed => "failed",
            Self::Frozen => "frozen",
            Self::Finished => "finished",
            Self::Drained => "drained",
            Self::Killed => "killed",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an incarnation ended, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// The kind.
    pub reason: EndReason,
    /// A panic's message, an error with its causes, or which limit passed.
    pub detail: String,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl End {
    pub(super) fn new(reason: EndReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// The actor cannot go on because of `error`, told with its causes.
    #[must_use]
    pub fn failed(error: &dyn Error) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail.push_str(": ");
            detail.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(EndReason::Failed, detail)
    }

    /// The actor's work is done for good.
    #[must_use]
    pub fn finished() -> Self {
        Self::new(EndReason::Finished, "its work is done")
    }

    /// What the end of an actor's task tells, with what the actor said before.
    pub(super) fn of_task(ended: Result<(), JoinError>, said: Option<Self>) -> Self {
        match ended {
            Ok(()) => said.unwrap_or_else(|| {
                Self::new(EndReason::Failed, "it stopped itself without saying why")
            }),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => Self::new(EndReason::Panicked, panic_message(payload.as_ref())),
                Err(_) => Self::new(EndReason::Killed, "its thread was stopped"),
            },
        }
    }

    /// Whether the tree starts the actor again after this end.
    pub(super) fn calls_for_restart(&self) -> bool {
        !matches!(self.reason, EndReason::Finished | EndReason::Drained)
    }
}

/// `panic!` leaves a `&str` or a `String`; `panic_any` may leave anything.
fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Where an actor that stops itself says why, before it calls `ctx.stop()`.
#[derive(Clone, Debug, Default)]
pub struct EndReport(Arc<Mutex<Option<End>>>);

impl EndReport {
    /// The first word counts.
    pub fn say(&self, end: End) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
    }

    pub(super) fn take(&self) -> Option<End> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the cursor is unreadable")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_failure_is_told_with_its_causes() {
        let end = End::failed(&Outer(std::io::Error::other("disk gone")));
        assert_eq!(end.to_string(), "failed: the cursor is unreadable: disk gone");
    }

    #[test]
    fn a_panic_keeps_its_message_whatever_its_type() {
        assert_eq!(panic_message(&"static"), "static");
        assert_eq!(panic_message(&"owned".to_owned()), "owned");
        assert_eq!(panic_message(&7_u8), "a panic without a message");
    }

    #[test]
    fn the_first_word_about_an_end_counts() {
        let report = EndReport::default();
        report.say(End::finished());
        report.say(End::new(EndReason::Failed, "later"));
        assert_eq!(report.take(), Some(End::finished()));
    }
}
