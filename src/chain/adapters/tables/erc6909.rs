//! ERC-6909: many tokens in one contract, without callbacks. `id` is as in
//! ERC-1155.

use crate::chain::adapters::spec::{EventSpec, event};

const TRANSFER: &str = "event Transfer(address caller, address indexed from, address indexed to, uint256 indexed id, uint256 value)";

pub(super) const EVENTS: &[EventSpec] = &[
    event("minted", TRANSFER).zero(&["from"]),
    event("burned", TRANSFER).zero(&["to"]),
    event("transferred", TRANSFER),
    event(
        "approval",
        "event Approval(address indexed owner, address indexed spender, uint256 indexed id, uint256 value)",
    ),
    // What the other standards call `ApprovalForAll`.
    event(
        "approval_for_all",
        "event OperatorSet(address indexed owner, address indexed operator, bool approved)",
    ),
];
