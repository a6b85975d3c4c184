//! The way to one endpoint's head.

use std::sync::Arc;

use alloy::eips::BlockNumberOrTag;
use tokio::time::{Instant, timeout};

use super::{ChainClient, FollowError, Followed, Follower, LEAD_TIME, Way, council::Motion};
use crate::{
    chain::{
        answers::Header,
        headers::{HeadChange, NeedAncestor},
    },
    domain::BlockRef,
};

/// Headers that are still asked for one by one, by hash.
const NEAR: u64 = 4;
/// Headers asked for at once in a gap.
const AT_ONCE: u64 = 8;
/// How far below a new head the endpoints are compared.
const BEHIND: u64 = 16;

/// What showing a header came to.
enum Shown {
    Done,
    NeedsAncestor,
    Refused(Way),
}

impl Follower {
    /// Goes towards one endpoint's head.
    pub(super) async fn follow(
        &mut self,
        client: &ChainClient,
        lead: usize,
        is_last: bool,
        until: Instant,
        followed: &mut Followed,
    ) -> Result<Way, FollowError> {
        let one = client.only(lead);
        let latest = self.head_of(&one, lead, is_last).await?;
        if let Some(oldest) = self.window.oldest()
            && latest.block.number < oldest.number
        {
            return Ok(Way::Behind(format!(
                "{} has no block after {}: it lags, or lost what it had; known are blocks {} to {}",
                client.name(lead),
                latest.block.number,
                oldest.number,
                self.head_number()
            )));
        }
        if let Some(way) = self.admit(client, lead, &latest, followed).await? {
            return Ok(way);
        }
        loop {
            let shown = match self.wanted {
                Some(NeedAncestor { number, hash }) => {
                    let Some(header) = one.header_by_hash(hash).await? else {
                        // The branch may be gone: the next step begins anew.
                        self.drop_branch();
                        let endpoint = Arc::clone(client.name(lead));
                        return Err(FollowError::UnknownAncestor { endpoint, number, hash });
                    };
                    self.show(client, lead, &header, followed).await
                }
                None => self.approach(client, &one, lead, &latest, followed).await?,
            };
            if let Shown::Refused(way) = shown {
                return Ok(way);
            }
            let reached = self.window.head().is_some_and(|head| head.hash == latest.block.hash)
                || self.window.at(latest.block.number).is_some_and(|b| b.hash == latest.block.hash);
            let froze =
                matches!(followed.changes.last(), Some(HeadChange::FinalityViolated { .. }));
            if self.wanted.is_none() && reached || froze {
                return Ok(Way::Reached);
            }
            if Instant::now() >= until {
                return Ok(Way::Unfinished(self.rest(latest.block)));
            }
        }
    }

    async fn head_of(
        &mut self,
        one: &ChainClient,
        lead: usize,
        is_last: bool,
    ) -> Result<Header, FollowError> {
        let asked = by_number(one, lead, BlockNumberOrTag::Latest);
        let latest = if is_last {
            asked.await
        } else {
            let slow = || FollowError::Slow { endpoint: Arc::clone(one.name(lead)) };
            timeout(LEAD_TIME, asked).await.unwrap_or_else(|_| Err(slow()))
        };
        match &latest {
            Ok(latest) => {
                self.asked = Some(lead);
                self.agreement.heard(lead, latest.block);
            }
            Err(_) => self.agreement.missed(lead, self.now()),
        }
        latest
    }

    /// Compares what a walk would not show: a frozen or far-away window with
    /// the endpoints' branch, and a head that nothing leads to with the others.
    async fn admit(
        &mut self,
        client: &ChainClient,
        lead: usize,
        latest: &Header,
        followed: &mut Followed,
    ) -> Result<Option<Way>, FollowError> {
        let number = latest.block.number;
        let far = self.is_far(number);
        if (far || self.frozen.is_some())
            && let Some(ours) = self.window.checkpoint().copied()
        {
            let hash = if self.is_alone() {
                by_number(&client.only(lead), lead, ours.number.into()).await?.block.hash
            } else {
                match self.vote(client, ours.number, followed).await {
                    Motion::Open(why) => return Ok(Some(Way::Waits(why))),
                    Motion::Carried { hash, by } if hash == ours.hash && !by.contains(&lead) => {
                        return Ok(Some(Way::Outvoted));
                    }
                    Motion::Carried { hash, .. } => hash,
                }
            };
            if hash != ours.hash {
                self.freeze(ours, BlockRef { hash, ..ours });
                return Ok(Some(Way::Reached));
            }
        }
        // Not the head itself: others may be a moment behind.
        if (far || self.window.head().is_none()) && !self.is_alone() && self.wanted.is_none() {
            match self.vote(client, number.saturating_sub(BEHIND), followed).await {
                Motion::Open(why) => return Ok(Some(Way::Waits(why))),
                Motion::Carried { by, .. } if !by.contains(&lead) => {
                    return Ok(Some(Way::Outvoted));
                }
                Motion::Carried { .. } => {}
            }
        }
        Ok(None)
    }

    /// Shows the head, or the next headers on the way to it.
    async fn approach(
        &mut self,
        client: &ChainClient,
        one: &ChainClient,
        lead: usize,
        latest: &Header,
        followed: &mut Followed,
    ) -> Result<Shown, FollowError> {
        let number = latest.block.number;
        let next = match self.window.head() {
            Some(head) if number > head.number + NEAR && !self.is_far(number) => head.number + 1,
            _ => return Ok(self.show(client, lead, latest, followed).await),
        };
        let last = number.min(next + AT_ONCE - 1);
        let asked = (next..=last).map(|number| by_number(one, lead, number.into()));
        let mut shown = Shown::Done;
        for header in futures::future::try_join_all(asked).await? {
            shown = self.show(client, lead, &header, followed).await;
            if !matches!(shown, Shown::Done) {
                break;
            }
        }
        Ok(shown)
    }

    /// Observes a header, if it may be.
    async fn show(
        &mut self,
        client: &ChainClient,
        lead: usize,
        header: &Header,
        followed: &mut Followed,
    ) -> Shown {
        let block = header.block;
        if !self.is_alone() && !self.accepted && self.window.contradicts(&block) {
            match self.vote(client, block.number, followed).await {
                Motion::Open(why) => {
                    self.drop_branch();
                    return Shown::Refused(Way::Waits(why));
                }
                Motion::Carried { hash, .. } if hash != block.hash => {
                    return Shown::Refused(Way::Outvoted);
                }
                // Hashes commit to parents: what is below is accepted, too.
                Motion::Carried { .. } => self.accepted = true,
            }
        }
        tracing::trace!(endpoint = %client.name(lead), number = block.number, "header");
        self.window.note_bloom(block.hash, header.logs_bloom);
        match self.window.observe(block) {
            Ok(change) => {
                (self.wanted, self.accepted) = (None, false);
                match change {
                    HeadChange::FinalityViolated { ours, branch } => self.freeze(ours, branch),
                    _ => (self.frozen, self.frozen_at) = (None, None),
                }
                if change != HeadChange::Same {
                    followed.changes.push(change);
                }
                Shown::Done
            }
            Err(wanted) => {
                self.wanted = Some(wanted);
                Shown::NeedsAncestor
            }
        }
    }

    /// Whether a head lies beyond what the window can be extended by.
    fn is_far(&self, number: u64) -> bool {
        let head = self.window.head().map_or(number, |head| head.number);
        number.saturating_sub(head) > self.window.capacity() as u64
    }

    fn freeze(&mut self, ours: BlockRef, branch: BlockRef) {
        self.drop_branch();
        self.frozen_at = Some(ours.number);
        if self.frozen.is_none() {
            let why = format!(
                "block {} of the endpoints' branch is {}, but {} is final or the deepest of {}: a \
                 reorg below finality",
                branch.number,
                branch.hash,
                ours.hash,
                self.window.capacity()
            );
            self.frozen = Some(why.into());
        }
    }

    fn rest(&self, latest: BlockRef) -> String {
        let head = self.head_number();
        match self.wanted {
            Some(NeedAncestor { number, .. }) => format!(
                "catching up: a branch is followed down to its fork, at block {number}; \
                 known is block {head}"
            ),
            None => format!("catching up: at block {head} of {}", latest.number),
        }
    }
}

async fn by_number(
    one: &ChainClient,
    lead: usize,
    block: BlockNumberOrTag,
) -> Result<Header, FollowError> {
    let found = one.header(block).await?;
    found.ok_or_else(|| FollowError::NoBlock { endpoint: Arc::clone(one.name(lead)), block })
}
