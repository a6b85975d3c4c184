//! Whether proposals are in the states that their contract says: what is derived
//! from events is held against `state(id)` of the same block.
//!
//! A governor may count otherwise than its kind says, its clock may be configured
//! wrong, or a release may have a mistake. Nothing is changed by what is found
//! here: people are told.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::U256;
use tokio::time::Instant;

use crate::{
    breakers::{Classify as _, FailureClass},
    chain::rpc::RpcError,
    governance::{ProposalState, queries::ProposalView},
};

/// Proposals asked for in one round.
const ASK_AT_ONCE: usize = 16;
/// Pause between rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// How long what agreed is left alone while its state is the same: the chain
/// may move on without an event that anybody knows.
const AGREED_FOR: Duration = Duration::from_secs(600);

/// What is known of earlier rounds.
#[derive(Debug, Default)]
pub struct Checks {
    next: Option<Instant>,
    /// With the state in which ours and theirs agreed, and when that was.
    agreed: BTreeMap<U256, (ProposalState, Instant)>,
    /// What differed when it was asked for last: ours and theirs.
    differs: BTreeMap<U256, Difference>,
    /// When each was asked for last: who never agrees must not keep others waiting.
    asked: BTreeMap<U256, Instant>,
}

/// A proposal of which contract and fold say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) ours: ProposalState,
    pub(super) theirs: ProposalState,
    /// Seen twice: a reorg between two answers looks like one, once.
    pub(super) is_sure: bool,
}

impl Checks {
    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// Asks for those of `proposals` that are due. Gives those of which it became
    /// sure that they differ.
    pub(super) async fn look(
        &mut self,
        proposals: &[ProposalView],
        now: impl Fn() -> Instant,
        state_of: impl AsyncFn(U256) -> Result<Option<ProposalState>, RpcError>,
    ) -> Vec<(U256, Difference)> {
        if !self.is_due(now()) {
            return Vec::new();
        }
        self.next = Some(now() + PAUSE);
        self.agreed.retain(|id, _| proposals.iter().any(|it| it.proposal_id == *id));
        self.differs.retain(|id, _| proposals.iter().any(|it| it.proposal_id == *id));
        self.asked.retain(|id, _| proposals.iter().any(|it| it.proposal_id == *id));
        let is_due = |proposal: &&ProposalView| {
            let agreed = self.agreed.get(&proposal.proposal_id);
            // Nobody says more of it before its quorum is known.
            proposal.state != ProposalState::AwaitingQuorum
                && agreed.is_none_or(|(state, at)| {
                    *state != proposal.state
                        || (!is_settled(*state) && now().duration_since(*at) >= AGREED_FOR)
                })
        };
        let due = proposals.iter().filter(is_due);
        let mut due: Vec<(U256, ProposalState)> =
            due.map(|proposal| (proposal.proposal_id, proposal.state)).collect();
        // Stable: those that were never asked for come first, in their order.
        due.sort_by_key(|(id, _)| self.asked.get(id).copied());
        due.truncate(ASK_AT_ONCE);
        let mut sure = Vec::new();
        for (id, ours) in due {
            self.asked.insert(id, now());
            let theirs = match state_of(id).await {
                Ok(Some(theirs)) => theirs,
                // It has no such function, or no such proposal at that block.
                Ok(None) => continue,
                Err(error) if error.class() == FailureClass::Answer => continue,
                // Whoever can't be asked now is not asked for the others, either.
                Err(_) => break,
            };
            if theirs == ours {
                self.agreed.insert(id, (ours, now()));
                self.differs.remove(&id);
                continue;
            }
            let before = self.differs.get(&id);
            let again = before.is_some_and(|it| (it.ours, it.theirs) == (ours, theirs));
            let was_sure = before.is_some_and(|it| it.is_sure);
            let difference = Difference { ours, theirs, is_sure: again };
            self.differs.insert(id, difference);
            if again && !was_sure {
                sure.push((id, difference));
            }
        }
        sure
    }

    /// Those that differ for sure.
    pub(super) fn differing(&self) -> impl Iterator<Item = (&U256, &Difference)> {
        self.differs.iter().filter(|(_, difference)| difference.is_sure)
    }
}

/// Whether nothing can happen to it any more.
fn is_settled(state: ProposalState) -> bool {
    use ProposalState::{Canceled, Defeated, Executed, Expired};
    matches!(state, Canceled | Defeated | Executed | Expired)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;

    use alloy::primitives::Address;

    use super::*;
    use crate::governance::Tallies;

    fn proposal(id: u64, state: ProposalState) -> ProposalView {
        ProposalView {
            proposal_id: U256::from(id),
            state,
            proposer: Address::ZERO,
            title: String::new(),
            created_block: 1,
            snapshot: 1,
            deadline: 2,
            eta: None,
            quorum: None,
            tallies: Tallies::default(),
        }
    }

    /// Looks once, some seconds after the beginning; says who was asked for.
    async fn look(
        checks: &mut Checks,
        began: Instant,
        seconds: u64,
        proposals: &[ProposalView],
        theirs: impl Fn(u64) -> Option<ProposalState>,
    ) -> (Vec<u64>, Vec<u64>) {
        let asked = RefCell::new(Vec::new());
        let now = || began + Duration::from_secs(seconds);
        let state_of = async |id: U256| {
            let id = id.to::<u64>();
            asked.borrow_mut().push(id);
            Ok(theirs(id))
        };
        let sure = checks.look(proposals, now, state_of).await;
        (asked.into_inner(), sure.iter().map(|(id, _)| id.to::<u64>()).collect())
    }

    #[tokio::test]
    async fn what_agrees_is_asked_for_once_and_again_after_a_while_unless_it_is_settled() {
        use ProposalState::{Active, Executed};
        let (mut checks, began) = (Checks::default(), Instant::now());
        let proposals = [proposal(1, Active), proposal(2, Executed)];
        let theirs = |id| Some(if id == 1 { Active } else { Executed });
        let mut asked = Vec::new();
        for seconds in [0, 1, 5, 10, 604, 605] {
            let (ids, sure) = look(&mut checks, began, seconds, &proposals, theirs).await;
            assert!(sure.is_empty());
            asked.push(ids);
        }
        let none: Vec<u64> = Vec::new();
        assert_eq!(asked[..4], [vec![1, 2], none.clone(), none.clone(), none.clone()]);
        assert_eq!([&asked[4][..], &asked[5][..]].concat(), [1]);
    }

    #[tokio::test]
    async fn what_differs_twice_is_sure_and_told_once_and_forgotten_when_it_agrees() {
        use ProposalState::{Active, Defeated};
        let (mut checks, began) = (Checks::default(), Instant::now());
        let proposals = [proposal(1, Defeated)];
        let mut told = Vec::new();
        for seconds in [0, 5, 10, 15] {
            told.push(look(&mut checks, began, seconds, &proposals, |_| Some(Active)).await.1);
        }
        assert_eq!(told, [vec![], vec![1], vec![], vec![]]);
        let (_, difference) = checks.differing().next().unwrap();
        assert_eq!((difference.ours, difference.theirs), (Defeated, Active));
        look(&mut checks, began, 20, &proposals, |_| Some(Defeated)).await;
        assert_eq!(checks.differing().count(), 0);
    }

    #[tokio::test]
    async fn who_does_not_answer_is_asked_again_and_accuses_nobody() {
        let (mut checks, began) = (Checks::default(), Instant::now());
        let proposals = [proposal(1, ProposalState::Active)];
        for seconds in [0, 5, 10] {
            let (asked, sure) = look(&mut checks, began, seconds, &proposals, |_| None).await;
            assert_eq!((asked, sure), (vec![1], vec![]));
        }
        assert_eq!(checks.differing().count(), 0);
    }

    #[tokio::test]
    async fn those_who_never_agree_do_not_keep_others_waiting() {
        use ProposalState::{Active, Expired, Queued};
        let (mut checks, began) = (Checks::default(), Instant::now());
        let mut proposals: Vec<ProposalView> = (0..20).map(|id| proposal(id, Queued)).collect();
        for round in 0..3 {
            look(&mut checks, began, round * 5, &proposals, |_| Some(Expired)).await;
        }
        proposals.push(proposal(99, Active));
        let (asked, _) = look(&mut checks, began, 15, &proposals, |_| Some(Expired)).await;
        assert_eq!(asked.first(), Some(&99), "{asked:?}");
    }

    #[tokio::test]
    async fn a_round_asks_for_so_many_and_the_next_for_the_others() {
        let (mut checks, began) = (Checks::default(), Instant::now());
        let proposals: Vec<ProposalView> =
            (0..40).map(|id| proposal(id, ProposalState::Active)).collect();
        let mut asked = Vec::new();
        for round in 0..4 {
            let theirs = |_| Some(ProposalState::Active);
            asked.extend(look(&mut checks, began, round * 5, &proposals, theirs).await.0);
        }
        assert_eq!(asked, (0..40).collect::<Vec<u64>>());
    }
}
