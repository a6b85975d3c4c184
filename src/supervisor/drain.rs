//! Stopping the whole tree in order.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{end::EndReason, tree::Tree};

/// What became of the children.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// Stopped, with nothing left in flight.
    pub drained: Vec<String>,
    /// Abandoned at the deadline, or ended otherwise while they drained.
    pub undrained: Vec<Undrained>,
    /// What it took, in milliseconds.
    pub took_ms: u64,
}

/// A child that did not drain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undrained {
    /// Its name.
    pub name: String,
    /// What happened.
    pub why: String,
}

impl Tree {
    /// Stops all children for good: those whose names begin with the first
    /// prefix, together; then those of the second, and so on; then the rest.
    /// From the beginning nothing new is spawned. At the deadline, what has
    /// not drained is abandoned and named, at most twice the grace for
    /// aborted actors later.
    pub async fn drain(&self, order: &[&str], limit: Duration) -> DrainReport {
        let began = Instant::now();
        let deadline = began + limit;
        self.trunk().close();
        let mut report = DrainReport::default();
        for prefix in order.iter().chain([&""]) {
            let mut names = self.trunk().names();
            names.retain(|name| name.starts_with(prefix));
            let ends = names.into_iter().map(|name| self.drain_one(name, deadline));
            for (name, problem) in join_all(ends).await {
                match problem {
                    None => report.drained.push(name.to_string()),
                    Some(why) => {
                        tracing::error!(actor = %name, why, "the actor did not drain");
                        report.undrained.push(Undrained { name: name.to_string(), why });
                    }
                }
            }
        }
        report.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        report
    }

    async fn drain_one(&self, name: Arc<str>, deadline: Instant) -> (Arc<str>, Option<String>) {
        let left = deadline.saturating_duration_since(Instant::now());
        // The child keeps the deadline itself, unless it is being started on a
        // thread that is blocked just now.
        let patience = left + self.trunk().limits.abort_grace * 2;
        let problem = match timeout(patience, self.remove(&name, left)).await {
            Ok(Ok(end)) => match end.reason {
                EndReason::Drained | EndReason::Finished => None,
                _ => Some(end.to_string()),
            },
            // It ended by itself before it could be asked.
            Ok(Err(_)) => None,
            Err(_) => Some("it was being started and could not be stopped in time".to_owned()),
        };
        (name, problem)
    }
}
