//! ERC-1155. `id` names a type of token, of which many may exist: it is not
//! the `token_id` of ERC-721, which one holder has.

use crate::chain::adapters::spec::{EventSpec, event};

const SINGLE: &str = "event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value)";
const BATCH: &str = "event TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values)";

/// The standard wants a value for each id, and nobody but the token sees to it.
const fn batch(name: &'static str) -> EventSpec {
    event(name, BATCH).paired(&["ids", "values"])
}

pub(super) const EVENTS: &[EventSpec] = &[
    event("minted", SINGLE).zero(&["from"]),
    event("burned", SINGLE).zero(&["to"]),
    event("transferred", SINGLE),
    batch("minted_batch").zero(&["from"]),
    batch("burned_batch").zero(&["to"]),
    batch("transferred_batch"),
    event(
        "approval_for_all",
        "event ApprovalForAll(address indexed owner, address indexed operator, bool approved)",
    ),
    event("uri", "event URI(string uri, uint256 indexed id)"),
];
