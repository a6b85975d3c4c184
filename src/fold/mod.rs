//! Folding ordered events into state that can be undone.
//!
//! A consumer of several contracts gets their events interleaved as they
//! were published. This module merges them into position order behind the
//! contracts' watermarks, applies them to a [`Fold`], remembers per
//! block how to undo that, and undoes it when blocks are orphaned
//! ([`Engine`]). It knows nothing of rules, governance, brokers or stores.

mod account;
mod effects;
mod engine;
mod inbox;
mod journal;
mod lineage;
mod merge;
mod paths;
mod source;
mod state;
mod table;
mod track;

pub use account::{Account, Count, Counts, Hole, InBlock};
pub use effects::{Area, Effects, Emission, Emitted, RestoreError, SavedParts, Unwritten, Write};
pub use engine::{Engine, Input, Observation};
use merge::Merge;
pub use paths::{JsonPaths, Paths, PathsMut};
pub use source::{InputError, Source};
pub use state::{AsJson, Kept, Key, State, Stored, Unreadable};

use crate::domain::Event;

/// A pure function over ordered events: what rules and governance are.
///
/// All that it remembers is in the [`State`] it is handed, so that undoing a
/// block is restoring keys.
///
/// What a fold must keep, for its result to be a function of the chain and
/// not of how often it was polled: which blocks without events begin depends
/// on when watermarks arrived, so a decision made in `begin_block` must come
/// out the same at any later block that has not applied another event yet.
/// "The deadline lies before `time`" is such a decision; "blocks begun so far"
/// is not.
pub trait Fold {
    /// What it says to the outside.
    type Output: Stored + Clone + Send + Sync + 'static;
    /// Under what it remembers things.
    type Key: Key;

    /// Whether something that events don't tell must be learned before a block
    /// begins: nothing is applied until it is ([`Engine::amend`]). Must be a
    /// function of the state and the block, and false once it was learned.
    fn waits(&self, _chain_id: u64, _block: u64, _time: u64, _state: &State<Self::Key>) -> bool {
        false
    }

    /// A block begins: whatever had its deadline before it is decided now.
    /// Called before the first event of each block that has one, and for the
    /// newest complete block; `time` is the block's, in seconds since the
    /// Unix epoch.
    fn begin_block(
        &self,
        chain_id: u64,
        block: u64,
        time: u64,
        state: &mut State<Self::Key>,
        output: &mut Vec<Self::Output>,
    );

    /// One event in position order.
    fn apply(&self, event: &Event, state: &mut State<Self::Key>, output: &mut Vec<Self::Output>);
}

#[cfg(test)]
mod tests;

/// A shared fold is a fold.
impl<F: Fold> Fold for std::sync::Arc<F> {
    type Output = F::Output;
    type Key = F::Key;

    fn waits(&self, chain_id: u64, block: u64, time: u64, state: &State<Self::Key>) -> bool {
        (**self).waits(chain_id, block, time, state)
    }

    fn begin_block(
        &self,
        chain_id: u64,
        block: u64,
        time: u64,
        state: &mut State<Self::Key>,
        output: &mut Vec<F::Output>,
    ) {
        (**self).begin_block(chain_id, block, time, state, output);
    }

    fn apply(&self, event: &Event, state: &mut State<Self::Key>, output: &mut Vec<F::Output>) {
        (**self).apply(event, state, output);
    }
}
