//! ERC-5805: who votes for whom. Compound's token had it first; ERC-721 tokens
//! with votes (Nouns, OpenZeppelin's `ERC721Votes`) have it as well.

use crate::chain::adapters::spec::{EventSpec, event};

pub(super) const EVENTS: &[EventSpec] = &[
    event(
        "delegate_changed",
        "event DelegateChanged(address indexed delegator, address indexed from_delegate, address indexed to_delegate)",
    ),
    event(
        "delegate_votes_changed",
        "event DelegateVotesChanged(address indexed delegate, uint256 previous_votes, uint256 new_votes)",
    ),
];
