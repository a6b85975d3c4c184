//! Brings a window of headers up to the endpoints' head, in steps.
//!
//! All headers of one approach come from one endpoint, the lead. A near head
//! is reached by hash, from it down to the window. A gap is filled upwards by
//! number, several headers at a time; each must stand on the one before, and
//! where it does not the fork is searched by hash. What a step does not finish
//! the next one goes on with, however far the head has moved.
//!
//! Where a chain has several endpoints, a header that contradicts the window
//! is put to the vote before it is followed, and from time to time all are
//! asked for their heads, so that a lead on a branch of its own is noticed
//! (`council`). What that means is in [`agreement`](crate::chain::agreement).

mod council;

use std::{sync::Arc, time::Duration};

use alloy::{eips::BlockNumberOrTag, primitives::B256};
use tokio::time::{Instant, timeout};

use super::ChainClient;
use crate::{
    chain::{
        agreement::{Agreement, Trust},
        answers::Header,
        headers::{HeadChange, HeaderWindow, NeedAncestor},
        rpc::RpcError,
    },
    domain::BlockRef,
};
use council::{Motion, Survey};

/// Headers that are still asked for one by one, by hash.
const NEAR: u64 = 4;
/// Headers asked for at once in a gap.
const AT_ONCE: u64 = 8;
/// How long a lead may take to name its head while another could.
const LEAD_TIME: Duration = Duration::from_millis(900);

/// The window, and how far the way to the head was gone.
#[derive(Debug)]
pub struct Follower {
    window: HeaderWindow,
    /// The next ancestor of a branch that does not reach the window yet.
    wanted: Option<NeedAncestor>,
    /// The branch under way contradicts the window, and most endpoints have
    /// it.
    accepted: bool,
    frozen: Option<Arc<str>>,
    frozen_at: Option<u64>,
    trust: Trust,
    agreement: Agreement,
    survey: Survey,
    /// The height that the last vote left open.
    open: Option<u64>,
    lead: Option<usize>,
    /// Who named its head in this step.
    asked: Option<usize>,
    /// Whom to follow next: it is said to have a new head.
    hint: Option<usize>,
    /// Up to where most endpoints have the window's blocks.
    agreed: Option<u64>,
    born: Instant,
}

/// What one step found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// What changed in the window, in order.
    pub changes: Vec<HeadChange>,
    /// What is still to be done before the window's head is the endpoints';
    /// the next step goes on with it at once.
    pub rest: Option<String>,
    /// What the endpoints must settle first: nothing is concluded before.
    pub waits: Option<String>,
    /// Endpoints that were outvoted, by name.
    pub outvoted: Vec<Arc<str>>,
}

/// Why the head could not be followed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FollowError {
    /// The endpoints.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// An endpoint named a block that it does not give.
    #[error("{endpoint} does not give block {number} ({hash}), on which its head stands")]
    UnknownAncestor {
        /// Whose head it is.
        endpoint: Arc<str>,
        /// Its height.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// There is no block where there must be one.
    #[error("{endpoint} does not give block {block}, below its head")]
    NoBlock {
        /// Who should have it.
        endpoint: Arc<str>,
        /// Which.
        block: BlockNumberOrTag,
    },
    /// Another endpoint is asked instead.
    #[error("{endpoint} takes longer than {} ms to name its head", LEAD_TIME.as_millis())]
    Slow {
        /// Who.
        endpoint: Arc<str>,
    },
}

/// How far one endpoint could be followed.
enum Way {
    Reached,
    Unfinished(String),
    Waits(String),
    /// Its head is below all that is known: perhaps another's is not.
    Behind(String),
    /// Most others are on another branch: try one of them.
    Outvoted,
}

/// What showing a header came to.
enum Shown {
    Done,
    NeedsAncestor,
    Refused(Way),
}

impl Follower {
    /// Follows from a window on, `frozen` as an earlier one was.
    #[must_use]
    pub fn new(window: HeaderWindow, frozen: Option<Arc<str>>, trust: Trust) -> Self {
        Self {
            window,
            wanted: None,
            accepted: false,
            frozen,
            frozen_at: None,
            trust,
            agreement: Agreement::new(0, trust),
            survey: Survey::default(),
            open: None,
            lead: None,
            asked: None,
            hint: None,
            agreed: None,
            born: Instant::now(),
        }
    }

    /// The headers: always one branch without gaps.
    #[must_use]
    pub fn window(&self) -> &HeaderWindow {
        &self.window
    }

    /// To set what is final, or to grow it.
    pub fn window_mut(&mut self) -> &mut HeaderWindow {
        &mut self.window
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

    /// The height at which the endpoints contradict what was final, once this
    /// follower has seen it.
    #[must_use]
    pub fn frozen_at(&self) -> Option<u64> {
        self.frozen_at
    }

    /// Up to which height most endpoints have the window's blocks.
    #[must_use]
    pub fn agreed(&self) -> Option<u64> {
        self.agreed
    }

    /// The head that may be built on: not further ahead of what most endpoints
    /// have than is trusted.
    #[must_use]
    pub fn believed(&self) -> Option<&BlockRef> {
        let head = self.window.head()?;
        self.window.at(head.number.min(self.agreed?.saturating_add(self.trust.ahead_max)))
    }

    /// An endpoint is said to have a new head: the next step asks it first.
    pub fn hint(&mut self, endpoint: usize) {
        self.hint = Some(endpoint);
    }

    /// Forgets the window and why it was frozen: the endpoints' branch is
    /// taken as it is.
    pub fn begin_anew(&mut self) {
        self.window = HeaderWindow::new(self.window.capacity());
        (self.wanted, self.accepted) = (None, false);
        (self.frozen, self.frozen_at, self.agreed) = (None, None, None);
        self.open = None;
    }

    /// What most endpoints that can say have reached, of what each said.
    #[must_use]
    pub fn reached_by_most(&self, reached: &[Option<u64>]) -> Option<u64> {
        self.agreement.reached_by_most(reached, self.now())
    }

    /// A block is overdue: the next step asks all endpoints for their heads.
    pub fn suspect(&mut self) {
        self.survey.ask_soon();
    }

    fn now(&self) -> Duration {
        self.born.elapsed()
    }

    fn head_number(&self) -> u64 {
        self.window.head().map_or(0, |head| head.number)
    }

    fn is_alone(&self) -> bool {
        self.agreement.endpoints() == 1
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
        if self.agreement.endpoints() != client.shared.endpoints.len() {
            self.agreement = Agreement::new(client.shared.endpoints.len(), self.trust);
        }
        self.asked = None;
        let mut followed = Followed::default();
        // While they disagree nobody is followed.
        if self.open.is_some() {
            self.look_around(client, &mut followed).await;
        }
        if followed.waits.is_none() {
            self.advance(client, until, &mut followed).await?;
            let quiet = followed.rest.is_none() && followed.waits.is_none();
            if quiet && self.survey_is_due() {
                self.look_around(client, &mut followed).await;
                if followed.waits.is_none() && self.hint.is_some() {
                    self.advance(client, until, &mut followed).await?;
                }
            }
        }
        self.agree(&followed.changes);
        Ok(followed)
    }

    /// Raises the agreed height; a reorg lowers it.
    fn agree(&mut self, changes: &[HeadChange]) {
        for change in changes {
            match change {
                HeadChange::Reorged { common, .. } => {
                    self.agreed = self.agreed.map(|agreed| agreed.min(common.number));
                }
                HeadChange::Replaced { .. } => self.agreed = None,
                HeadChange::Same
                | HeadChange::Extended { .. }
                | HeadChange::FinalityViolated { .. } => {}
            }
        }
        let now = self.now();
        let lead = self.lead.filter(|_| self.is_connected());
        let agreed = self.agreement.agreed(&self.window, lead, now);
        self.agreed = self.agreed.max(agreed).map(|agreed| agreed.min(self.head_number()));
        self.agreement.mark(self.head_number(), now);
    }

    /// Follows the best endpoint that can be followed.
    async fn advance(
        &mut self,
        client: &ChainClient,
        until: Instant,
        followed: &mut Followed,
    ) -> Result<(), FollowError> {
        let mut order = client.ranking();
        let head = self.head_number();
        // A walk under way goes on with whom it began with.
        let hint = self.hint.take();
        let first = if self.wanted.is_some() { self.lead } else { hint };
        order.sort_by_key(|lead| (self.agreement.sits_out(*lead, head), Some(*lead) != first));
        let mut failure = Err(client.no_endpoint().into());
        while !order.is_empty() {
            let lead = order.remove(0);
            if self.lead != Some(lead) {
                self.lead = Some(lead);
                self.drop_branch();
            }
            match self.follow(client, lead, order.is_empty(), until, followed).await {
                Ok(Way::Reached) => return Ok(()),
                Ok(Way::Unfinished(rest)) => {
                    followed.rest = Some(rest);
                    return Ok(());
                }
                Ok(Way::Waits(why)) => {
                    followed.waits = Some(why);
                    return Ok(());
                }
                Ok(Way::Behind(why)) => failure = Ok(why),
                Ok(Way::Outvoted) => {
                    self.drop_branch();
                    let name = client.name(lead);
                    failure = Ok(format!("{name} is on a branch of its own, and no other answers"));
                }
                Err(error) => failure = Err(error),
            }
        }
        followed.waits = Some(failure?);
        Ok(())
    }

    fn drop_branch(&mut self) {
        (self.wanted, self.accepted) = (None, false);
        self.window.drop_branch();
    }

    /// Goes towards one endpoint's head.
    async fn follow(
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

/// How far below a new head the endpoints are compared.
const BEHIND: u64 = 16;

async fn by_number(
    one: &ChainClient,
    lead: usize,
    block: BlockNumberOrTag,
) -> Result<Header, FollowError> {
    let found = one.header(block).await?;
    found.ok_or_else(|| FollowError::NoBlock { endpoint: Arc::clone(one.name(lead)), block })
}
