//! ERC-721, with ranges (ERC-2309), changes of metadata (ERC-4906), locks
//! (ERC-5192, whose token id is not indexed) and consent to burn (ERC-5484).

use crate::chain::adapters::spec::{EventSpec, event};

const TRANSFER: &str =
    "event Transfer(address indexed from, address indexed to, uint256 indexed token_id)";

/// Of all tokens `from_token_id` to `to_token_id`, both included: it stays one
/// event, because a range may have more tokens than anybody can hold in memory.
const CONSECUTIVE: &str = "event ConsecutiveTransfer(uint256 indexed from_token_id, uint256 to_token_id, address indexed from, address indexed to)";

pub(super) const EVENTS: &[EventSpec] = &[
    event("minted", TRANSFER).zero(&["from"]),
    event("burned", TRANSFER).zero(&["to"]),
    event("transferred", TRANSFER),
    event("minted_range", CONSECUTIVE).zero(&["from"]),
    event("burned_range", CONSECUTIVE).zero(&["to"]),
    event("transferred_range", CONSECUTIVE),
    event(
        "approval",
        "event Approval(address indexed owner, address indexed approved, uint256 indexed token_id)",
    ),
    event(
        "approval_for_all",
        "event ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
    ),
    event("metadata_update", "event MetadataUpdate(uint256 token_id)"),
    event(
        "batch_metadata_update",
        "event BatchMetadataUpdate(uint256 from_token_id, uint256 to_token_id)",
    ),
    event("locked", "event Locked(uint256 token_id)"),
    event("unlocked", "event Unlocked(uint256 token_id)"),
    // Beside `minted`. `burn_auth`: who may burn it: 0 issuer, 1 owner, 2 both,
    // 3 nobody.
    event(
        "issued",
        "event Issued(address indexed from, address indexed to, uint256 indexed token_id, uint8 burn_auth)",
    ),
];

/// Events of ERC-20, which share topic 0 with ours and are none of ours.
pub(super) const FOREIGN: &[&str] = &[
    "event Transfer(address indexed from, address indexed to, uint256 value)",
    "event Approval(address indexed owner, address indexed spender, uint256 value)",
];
