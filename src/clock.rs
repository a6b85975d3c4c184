//! The time of day. Everything else measures by tokio's clock, which a simulation
//! moves; this one goes along with it there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the Unix epoch; nothing before it.
#[must_use]
pub fn unix_now() -> Duration {
    #[cfg(feature = "simulation")]
    if let Some(now) = simulated::now() {
        return now;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole seconds since the Unix epoch.
#[must_use]
pub fn unix_seconds() -> u64 {
    unix_now().as_secs()
}

#[cfg(feature = "simulation")]
pub(crate) mod simulated {
    use std::{cell::Cell, sync::OnceLock, time::Duration};

    use tokio::time::Instant;

    thread_local!(static NOW: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) });

    /// From now on it is so late on this thread, and later as tokio's clock goes on.
    pub(crate) fn begin(unix: Duration) {
        NOW.set(Some((Instant::now(), unix)));
    }

    /// The thread has the time of day again.
    pub(crate) fn end() {
        NOW.set(None);
    }

    /// The same as an instant of the system's clock. It is far in the future: half a
    /// century after the process began.
    pub(crate) fn instant() -> Option<std::time::Instant> {
        static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
        now().map(|now| *BEGAN.get_or_init(std::time::Instant::now) + now)
    }

    /// The time of this thread's simulation.
    pub(crate) fn now() -> Option<Duration> {
        NOW.get().map(|(began, unix)| unix + began.elapsed())
    }
}
