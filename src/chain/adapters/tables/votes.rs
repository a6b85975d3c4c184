//! An ERC-20 token with votes.

use crate::chain::adapters::spec::{EventSpec, event};

const TRANSFER: &str = "event Transfer(address indexed from, address indexed to, uint256 value)";

pub(super) const EVENTS: &[EventSpec] = &[
    event("minted", TRANSFER).zero(&["from"]),
    event("burned", TRANSFER).zero(&["to"]),
    event("transferred", TRANSFER),
];

/// Of an ERC-721 token, which belongs under kind `erc721` to be heard whole.
pub(super) const FOREIGN: &[&str] =
    &["event Transfer(address indexed from, address indexed to, uint256 indexed token_id)"];
