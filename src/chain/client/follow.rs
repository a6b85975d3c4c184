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
mod walk;

use std::{sync::Arc, time::Duration};

use alloy::{eips::BlockNumberOrTag, primitives::B256};
use tokio::time::Instant;

use super::ChainClient;
use crate::{
    chain::{
        agreement::{Agreement, Trust},
        headers::{HeadChange, HeaderWindow, NeedAncestor},
        rpc::RpcError,
    },
    domain::BlockRef,
};
use council::Survey;

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
        for endpoint in 0..self.agreement.endpoints() {
            self.agreement.bar(endpoint, client.is_quarantined(endpoint));
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
}
