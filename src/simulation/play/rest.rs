//! Whether the daemon has come to rest, and what must never be seen on the way.

use super::{Daemon, Due, World, lock};
use crate::{
    daemon::simulated::SimulatedDaemon,
    simulation::{chain::Act, setup::ENDPOINTS, verdict},
    supervisor::EndReason,
};

/// Blocks through which all must stay as it must be.
const QUIET_BLOCKS: u64 = 6;
/// Blocks until every vote has ended, and what follows from it is due.
const VOTES_END_BLOCKS: u64 = 30;
/// Blocks within which the daemon must have come to rest after the last fault.
const PATIENCE_BLOCKS: u64 = 150;
/// Whether it has is looked at each so many blocks: that takes a while.
const LOOKED_AT_BLOCKS: u64 = 3;

impl World<'_> {
    /// Looks, after a block, whether the daemon has come to rest.
    pub(super) fn is_over(&mut self, daemon: &Daemon) -> bool {
        let only_blocks = self.due.values().all(|due| matches!(due, Due::Block));
        if !only_blocks {
            return false;
        }
        let head = lock(&self.chain).number();
        let calm_at = *self.calm_at.get_or_insert(head);
        if head == calm_at {
            // What made it go on may have been orphaned.
            self.act(Act::Unpause);
        }
        if head < calm_at + VOTES_END_BLOCKS || !head.is_multiple_of(LOOKED_AT_BLOCKS) {
            return false;
        }
        self.verdict = verdict::of(self, daemon.borrow().as_ref());
        if self.verdict.is_right() {
            let since = *self.quiet_since.get_or_insert(head);
            return head >= since + QUIET_BLOCKS;
        }
        self.quiet_since = None;
        head >= calm_at + PATIENCE_BLOCKS
    }

    /// A contract's refusal is an answer: no endpoint is the worse for it.
    pub(super) fn look_at_breakers(&mut self, daemon: &Daemon) {
        if self.endpoints_fail || !self.wrong.is_empty() {
            return;
        }
        let barred = |daemon: &SimulatedDaemon| {
            let mut endpoints = (0..ENDPOINTS).map(|place| format!("endpoint/local/{place}"));
            endpoints.find(|endpoint| daemon.state().is_barred(endpoint))
        };
        if let Some(endpoint) = daemon.borrow().as_ref().and_then(barred) {
            self.wrong.push(format!("the breaker of {endpoint} opened, which never failed"));
        }
    }

    pub(super) fn look_for_panics(&mut self, daemon: &Daemon) {
        let actors = daemon.borrow().as_ref().map(SimulatedDaemon::actors).unwrap_or_default();
        let ends = actors.into_iter().filter_map(|actor| Some((actor.name, actor.last_end?)));
        let panics = ends.filter(|(_, last)| last.reason == EndReason::Panicked);
        self.wrong.extend(panics.map(|(name, last)| format!("{name} panicked: {}", last.detail)));
    }
}
