//! ERC-721, with the locks of ERC-5192 (whose token id is not indexed).

use super::layout::EventSpec;

const TRANSFER: &str =
    "event Transfer(address indexed from, address indexed to, uint256 indexed token_id)";

const fn event(name: &'static str, declaration: &'static str) -> EventSpec {
    EventSpec { name, declaration, zero: &[] }
}

pub(super) const EVENTS: &[EventSpec] = &[
    EventSpec { name: "minted", declaration: TRANSFER, zero: &["from"] },
    EventSpec { name: "burned", declaration: TRANSFER, zero: &["to"] },
    event("transferred", TRANSFER),
    event(
        "approval",
        "event Approval(address indexed owner, address indexed approved, uint256 indexed token_id)",
    ),
    event(
        "approval_for_all",
        "event ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
    ),
    event("locked", "event Locked(uint256 token_id)"),
    event("unlocked", "event Unlocked(uint256 token_id)"),
];

/// Events of ERC-20, which share topic 0 with ours and are none of ours.
pub(super) const FOREIGN: &[&str] = &[
    "event Transfer(address indexed from, address indexed to, uint256 value)",
    "event Approval(address indexed owner, address indexed spender, uint256 value)",
];
