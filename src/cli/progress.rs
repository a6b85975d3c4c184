//! What a command that takes long shows while it works.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// A line on a terminal's stderr that is written over.
pub(super) struct Progress {
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { shown: None, terminal: std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, line: impl FnOnce() -> String) {
        let fresh = self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(100));
        if self.terminal && !fresh {
            self.shown = Some(Instant::now());
            Self::write(&format!("\r\x1b[K{}", line()));
        }
    }

    pub(super) fn clear(&self) {
        if self.shown.is_some() {
            Self::write("\r\x1b[K");
        }
    }

    fn write(text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Nobody misses a progress line.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}
