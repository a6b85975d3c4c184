//! Where what is remembered stands in the [`State`]. Nothing else spells a key.
//!
//! | key | value |
//! | --- | --- |
//! | `p/<proposal>` | the proposal's record |
//! | `t/<proposal>` | its tallies, apart so that a vote rewrites few bytes |
//! | `v/<proposal>/<voter>` | what one voter cast, while voting is open |
//! | `open/<timepoint>/<proposal>` | due once the governor's clock is past `timepoint` |
//! | `grace/<seconds>/<proposal>` | a queued proposal that expires at this block time |
//! | `ask/<proposal>` | its quorum is needed: the snapshot to ask for |
//! | `o/<contract>/<token>` | who holds a token |
//! | `h/<contract>/<holder>` | how much a holder has of one contract |
//! | `b/<holder>` | the holder's benefits, unless there are none |
//!
//! Timepoints are padded to 20 digits, so that the order of keys is the order
//! of time and what is due stands first.

use alloy::primitives::{Address, U256};

use crate::{
    domain::Name,
    fold::{JsonPaths as _, Paths},
};

pub(super) const PROPOSALS: &str = "p/";
pub(super) const OPEN: &str = "open/";
pub(super) const GRACE: &str = "grace/";
pub(super) const ASKED: &str = "ask/";
pub(super) const BENEFITS: &str = "b/";

pub(super) fn proposal(id: U256) -> String {
    format!("{PROPOSALS}{id}")
}

pub(super) fn tallies(id: U256) -> String {
    format!("t/{id}")
}

pub(super) fn votes(id: U256) -> String {
    format!("v/{id}/")
}

pub(super) fn vote(id: U256, voter: Address) -> String {
    format!("v/{id}/{}", lower(voter))
}

pub(super) fn open(timepoint: u64, id: U256) -> String {
    format!("{OPEN}{timepoint:020}/{id}")
}

pub(super) fn grace(seconds: u64, id: U256) -> String {
    format!("{GRACE}{seconds:020}/{id}")
}

pub(super) fn asked(id: U256) -> String {
    format!("{ASKED}{id}")
}

pub(super) fn owner(contract: &Name, token: U256) -> String {
    format!("o/{contract}/{token}")
}

pub(super) fn holding(contract: &Name, holder: Address) -> String {
    format!("h/{contract}/{}", lower(holder))
}

pub(super) fn benefits(holder: Address) -> String {
    format!("{BENEFITS}{}", lower(holder))
}

/// Without a checksum, which would cost a hash for each key.
fn lower(address: Address) -> String {
    format!("{address:#x}")
}

/// The entry of an index that is due first: its time and its proposal.
pub(super) fn first_due(state: &dyn Paths, index: &str) -> Option<(u64, U256)> {
    let key = state.keys(index).next()?;
    let (time, id) = key.strip_prefix(index)?.split_once('/')?;
    Some((time.parse().ok()?, id.parse().ok()?))
}

/// What follows `prefix` in each key that starts with it.
pub(super) fn after<'a, T: std::str::FromStr>(
    state: &'a dyn Paths,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, T)> {
    state.keys(prefix).filter_map(move |key| Some((key, key.strip_prefix(prefix)?.parse().ok()?)))
}
