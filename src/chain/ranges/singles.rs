//! Blocks that are too much each by itself.
//!
//! Their receipts are read instead, which costs more but has no limit of its
//! own. Where block after block is refused, it is done for ever longer runs
//! before logs are asked for again: not two calls for each block.

/// Longest run of blocks whose logs are not asked for.
const RUN_MAX: u64 = 64;

/// Which blocks are read by their receipts at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Singles {
    /// Blocks, ends included.
    run: Option<(u64, u64)>,
    /// Length of the last run.
    length: u64,
}

impl Singles {
    /// Whether this block's logs need not be asked for.
    pub(super) fn holds(&self, block: u64) -> bool {
        self.run.is_some_and(|(from, to)| (from..=to).contains(&block))
    }

    /// The logs of this block alone were refused.
    pub(super) fn failed(&mut self, block: u64) {
        let follows = self.run.is_some_and(|(_, to)| to.checked_add(1) == Some(block));
        self.length = if follows { (self.length * 2).min(RUN_MAX) } else { 1 };
        self.run = Some((block, block.saturating_add(self.length - 1)));
    }

    /// Logs were given.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// Receipts were refused, too: logs are no worse.
    pub(super) fn receipts_failed(&mut self) {
        *self = Self::default();
    }
}
