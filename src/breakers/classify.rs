//! Whose fault an error is.

use std::time::Duration;

/// What an error of a dependency says about the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The dependency is at fault: counts against the breaker, may be retried.
    Fault,
    /// Told to slow down: not counted either way, retried after the hint.
    Overloaded {
        /// How long it asked to be left alone, when it said so.
        retry_after: Option<Duration>,
    },
    /// It will refuse every call for long, whatever is asked (a bill is
    /// unpaid): opens the breaker at once, never retried.
    Barred,
    /// A semantic answer (reverted, not found, precondition failed): the
    /// dependency works, and asking again gives the same.
    Answer,
}

/// Errors that know whose fault they are.
pub trait Classify {
    /// See [`FailureClass`].
    fn class(&self) -> FailureClass;
}
