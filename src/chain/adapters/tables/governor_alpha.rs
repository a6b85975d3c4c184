//! Compound's Governor Alpha: the voter is not indexed, and `support` is a
//! bool, which is given on as 0 or 1: against and for, as everywhere else.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[event(
    "vote_cast",
    "event VoteCast(address voter, uint256 proposal_id, bool support, uint256 weight)",
)
.as_numbers(&["support"])];
