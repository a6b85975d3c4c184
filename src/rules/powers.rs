//! Who could have voted: votes at a point of a governor's clock, from what their
//! contract tells of them (ERC-5805).

use alloy::primitives::{Address, U256};

use super::{
    facts::Facts,
    memory::{self, Key, State},
    proposals::{Followed, Within},
};
use crate::governance::queries;

/// That somebody's votes are other than before.
const CHANGED: &str = "delegate_votes_changed";

/// From a point of the clock on, so many votes; in order.
pub(super) type Checkpoints = Vec<(u64, U256)>;

impl Followed {
    /// Notes a change of somebody's votes. What no open proposal and no later one can
    /// ask for is forgotten.
    pub(super) fn note_power(&self, facts: &Facts<'_>, state: &mut State) {
        let event = facts.event;
        if self.votes.as_ref() != Some(&event.contract) || event.name.as_str() != CHANGED {
            return;
        }
        let (Some(delegate), Some(votes)) = (facts.address("delegate"), facts.uint("new_votes"))
        else {
            return;
        };
        let at = self.clock.at(event.block.number, event.block.time);
        let key = Key::Power(self.place, delegate);
        let mut checkpoints: Checkpoints = memory::read(state, &key).unwrap_or_default();
        match checkpoints.last_mut().filter(|(last, _)| *last == at) {
            Some((_, last)) => *last = votes,
            None => checkpoints.push((at, votes)),
        }
        let open = queries::due_before(&Within { state: &*state, place: self.place }, u64::MAX);
        let oldest = open.iter().map(|proposal| proposal.snapshot).min().unwrap_or(u64::MAX);
        let needed = checkpoints.partition_point(|(at, _)| *at <= oldest).saturating_sub(1);
        checkpoints.drain(..needed);
        let is_nothing = matches!(checkpoints.as_slice(), [(_, votes)] if votes.is_zero());
        memory::write_or_remove(state, key, (!is_nothing).then_some(&checkpoints));
    }

    /// Who had votes at a point of the clock, in order.
    pub(super) fn powers(&self, state: &State, snapshot: u64) -> Vec<(Address, U256)> {
        let key = |delegate| Key::Power(self.place, delegate);
        let all = state.listed(key(Address::ZERO)..=key(Address::repeat_byte(0xff)));
        let at = |checkpoints: &Checkpoints| {
            let before = checkpoints.partition_point(|(at, _)| *at <= snapshot);
            checkpoints.get(before.checked_sub(1)?).map(|(_, votes)| *votes)
        };
        let powers = all.filter_map(|(key, value)| match key {
            Key::Power(_, delegate) => {
                let votes = at(&postcard::from_bytes(value.bytes()?).ok()?)?;
                (!votes.is_zero()).then_some((*delegate, votes))
            }
            _ => None,
        });
        powers.collect()
    }
}
