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

    /// When the simulation said how late it is, and what it said.
    #[derive(Clone, Copy)]
    struct Now {
        said: Instant,
        unix: Duration,
        /// Since the simulation began, whatever its time of day.
        elapsed: Duration,
    }

    thread_local!(static NOW: Cell<Option<Now>> = const { Cell::new(None) });

    /// From now on it is so late on this thread, and later as tokio's clock goes on; so
    /// much has passed since the simulation began.
    pub(crate) fn begin(unix: Duration, elapsed: Duration) {
        NOW.set(Some(Now { said: Instant::now(), unix, elapsed }));
    }

    /// The thread has the time of day again.
    pub(crate) fn end() {
        NOW.set(None);
    }

    /// What has passed, as an instant of the system's clock: one that the process will not
    /// live to see.
    pub(crate) fn instant() -> Option<std::time::Instant> {
        const FAR: Duration = Duration::from_secs(50 * 365 * 86_400);
        static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
        let Now { said, elapsed, .. } = NOW.get()?;
        let passed = elapsed + said.elapsed();
        Some(*BEGAN.get_or_init(std::time::Instant::now) + FAR + passed)
    }

    /// The time of this thread's simulation.
    pub(crate) fn now() -> Option<Duration> {
        NOW.get().map(|Now { said, unix, .. }| unix + said.elapsed())
    }
}
