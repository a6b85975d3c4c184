//! Brings a window of headers up to the endpoints' head, in steps.
//!
//! A near head is reached by hash, from it down to the window. A gap is filled
//! upwards by number, several headers at a time; each must stand on the one
//! before, and where it does not the fork is searched by hash. What a step
//! does not finish the next one goes on with, however far the head has moved.

use std::{sync::Arc, time::Duration};

use alloy::{eips::BlockNumberOrTag, primitives::B256};
use tokio::time::Instant;

use super::ChainClient;
use crate::{
    chain::{
        answers::Header,
        headers::{HeadChange, HeaderWindow, NeedAncestor},
        rpc::RpcError,
    },
    domain::BlockRef,
};

/// Headers that are still asked for one by one, by hash.
const NEAR: u64 = 4;
/// Headers asked for at once in a gap.
const AT_ONCE: u64 = 8;

/// The window, and how far the way to the head was gone.
#[derive(Clone, Debug)]
pub struct Follower {
    window: HeaderWindow,
    /// The next ancestor of a branch that does not reach the window yet.
    wanted: Option<NeedAncestor>,
    frozen: Option<Arc<str>>,
}

/// What one step found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// What changed in the window, in order.
    pub changes: Vec<HeadChange>,
    /// What is still to be done before the window's head is the endpoints'.
    pub rest: Option<String>,
}

/// Why the head could not be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FollowError {
    /// The endpoints.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The endpoints named a block that they don't give.
    #[error("no endpoint has block {number} ({hash}), on which their head stands")]
    UnknownAncestor {
        /// Its height.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// There is no block where there must be one.
    #[error("no endpoint has block {0}, below their head")]
    NoBlock(BlockNumberOrTag),
}

impl Follower {
    /// Follows from a window on, `frozen` as an earlier one was.
    #[must_use]
    pub fn new(window: HeaderWindow, frozen: Option<Arc<str>>) -> Self {
        Self { window, wanted: None, frozen }
    }

    /// The headers: always one branch without gaps.
    #[must_use]
    pub fn window(&self) -> &HeaderWindow {
        &self.window
    }

    /// Whether the window is all that is known: no branch is under way that
    /// does not reach it yet.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.wanted.is_none()
    }

    /// Why the endpoints' branch is not followed: it forked below finality.
    /// The window is what it was before.
    #[must_use]
    pub fn frozen(&self) -> Option<&Arc<str>> {
        self.frozen.as_ref()
    }

    /// Goes towards the head for about `time`.
    ///
    /// # Errors
    /// See [`FollowError`]. The window is sound, and the next step goes on.
    pub async fn step(
        &mut self,
        client: &ChainClient,
        time: Duration,
    ) -> Result<Followed, FollowError> {
        let until = Instant::now() + time;
        let latest = by_number(client, BlockNumberOrTag::Latest).await?;
        let mut changes = Vec::new();
        if self.is_far(latest.block.number) || self.frozen.is_some() {
            // What the window holds is compared first: a branch that lacks its
            // oldest block needs no walk, and must not simply replace it.
            let contradiction = self.contradiction(client).await?;
            if let Some(branch) = contradiction {
                self.freeze(branch.0, branch.1);
                return Ok(Followed { changes, rest: None });
            }
        }
        loop {
            let done = match self.wanted {
                Some(NeedAncestor { number, hash }) => {
                    let found = client.header_by_hash(hash).await;
                    let Some(header) = found? else {
                        // The branch may be gone: the next step begins anew.
                        self.wanted = None;
                        return Err(FollowError::UnknownAncestor { number, hash });
                    };
                    self.show(&header, &mut changes);
                    self.window.head().is_some_and(|head| head.hash == latest.block.hash)
                }
                None => self.approach(client, &latest, &mut changes).await?,
            };
            if done || matches!(changes.last(), Some(HeadChange::FinalityViolated { .. })) {
                return Ok(Followed { changes, rest: None });
            }
            if Instant::now() >= until {
                return Ok(Followed { changes, rest: Some(self.rest(latest.block)) });
            }
        }
    }

    /// Shows the head, or the next headers on the way to it. True when the
    /// head was reached.
    async fn approach(
        &mut self,
        client: &ChainClient,
        latest: &Header,
        changes: &mut Vec<HeadChange>,
    ) -> Result<bool, FollowError> {
        let number = latest.block.number;
        let next = match self.window.head() {
            Some(head) if number > head.number + NEAR && !self.is_far(number) => head.number + 1,
            _ => return Ok(self.show(latest, changes)),
        };
        let last = number.min(next + AT_ONCE - 1);
        let asked = (next..=last).map(|number| by_number(client, number.into()));
        for header in futures::future::try_join_all(asked).await? {
            if !self.show(&header, changes) {
                break;
            }
        }
        Ok(false)
    }

    /// Observes a header. False when an ancestor is wanted first.
    fn show(&mut self, header: &Header, changes: &mut Vec<HeadChange>) -> bool {
        self.window.note_bloom(header.block.hash, header.logs_bloom);
        match self.window.observe(header.block) {
            Ok(change) => {
                self.wanted = None;
                match change {
                    HeadChange::FinalityViolated { oldest, branch } => self.freeze(oldest, branch),
                    _ => self.frozen = None,
                }
                if change != HeadChange::Same {
                    changes.push(change);
                }
                true
            }
            Err(wanted) => {
                self.wanted = Some(wanted);
                false
            }
        }
    }

    /// Whether a head lies beyond what the window can be extended by.
    fn is_far(&self, number: u64) -> bool {
        let head = self.window.head().map_or(number, |head| head.number);
        number.saturating_sub(head) > self.window.capacity() as u64
    }

    /// The oldest block of a full window, and what the endpoints have instead.
    async fn contradiction(
        &self,
        client: &ChainClient,
    ) -> Result<Option<(BlockRef, BlockRef)>, FollowError> {
        let Some(oldest) = self.window.oldest().copied().filter(|_| self.window.is_full()) else {
            return Ok(None);
        };
        let theirs = by_number(client, oldest.number.into()).await?.block;
        Ok((theirs.hash != oldest.hash).then_some((oldest, theirs)))
    }

    fn freeze(&mut self, oldest: BlockRef, branch: BlockRef) {
        self.wanted = None;
        let why = format!(
            "block {} ({}) of the endpoints' branch contradicts block {} ({}), the deepest of {}: \
             a reorg below finality",
            branch.number,
            branch.hash,
            oldest.number,
            oldest.hash,
            self.window.capacity()
        );
        if self.frozen.is_none() {
            self.frozen = Some(why.into());
        }
    }

    fn rest(&self, latest: BlockRef) -> String {
        let head = self.window.head().map_or(0, |head| head.number);
        match self.wanted {
            Some(NeedAncestor { number, .. }) => format!(
                "catching up: a branch is followed down to its fork, at block {number}; \
                 known is block {head}"
            ),
            None => format!("catching up: at block {head} of {}", latest.number),
        }
    }
}

async fn by_number(client: &ChainClient, which: BlockNumberOrTag) -> Result<Header, FollowError> {
    client.header(which).await?.ok_or(FollowError::NoBlock(which))
}
