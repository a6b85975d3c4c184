//! Wallets that attest of each other that they are one member's.
//!
//! An attestation names who says it and of whom; anybody can say of any wallet that it is
//! theirs. So a link takes two of a schema: the member's of the wallet, and then the
//! wallet's of the member. It holds from the second on, until either is revoked. What the
//! wallet does in that time counts for the member, and what it holds is in the member's
//! hands; by itself it earns nothing, and has nothing that is only had while something holds.
//! What it did before stays its own.

use std::iter;

use alloy::primitives::{Address, B256};

use super::{
    decide::Touched,
    facts::Facts,
    holdings,
    links::Links,
    memory::{Counted, Key, State, read, write, write_or_remove},
    model::{ListedLeaf, RuleSet},
    places::Places,
};

/// Whose wallet an address is.
pub(super) fn linked(state: &State, address: Address) -> Option<Address> {
    read(state, &Key::Linked(address))
}

/// A member's other wallets.
fn wallets(state: &State, member: Address) -> impl Iterator<Item = Address> {
    let all = Key::Wallet(member, Address::ZERO)..=Key::Wallet(member, Address::repeat_byte(0xff));
    state.listed(all).filter_map(|(key, _)| match key {
        Key::Wallet(_, wallet) => Some(*wallet),
        _ => None,
    })
}

/// The attestation of somebody that a wallet is one's own, that was not revoked: of several
/// the latest.
fn claim(state: &State, by: Address, of: Address) -> Option<B256> {
    read(state, &Key::Claim(by, of))
}

impl RuleSet {
    /// Who has an address now: mostly itself.
    pub(super) fn member(&self, state: &State, address: Address) -> Address {
        match self.links {
            Links::Attested { .. } => linked(state, address).unwrap_or(address),
            Links::None | Links::Listed { .. } => self.links.listed(address),
        }
    }

    /// Another member has this address.
    pub(super) fn is_linked(&self, state: &State, address: Address) -> bool {
        matches!(self.links, Links::Attested { .. }) && linked(state, address).is_some()
    }

    /// Whoever has a wallet on a list is on it.
    pub(super) fn is_listed(&self, state: &State, leaf: &ListedLeaf, member: Address) -> bool {
        let is_on = match self.links {
            Links::Attested { .. } => {
                iter::once(member).chain(wallets(state, member)).any(|it| leaf.users.contains(&it))
            }
            Links::None | Links::Listed { .. } => leaf.users.contains(&member),
        };
        is_on == leaf.among
    }

    /// Links wallets and looses them, where an event says so.
    pub(super) fn relink(&self, facts: &Facts<'_>, state: &mut State, touched: &mut Touched) {
        let Links::Attested { contract, schema } = &self.links else { return };
        if facts.event.contract != *contract || holdings::word(facts, "schema_uid") != Some(*schema)
        {
            return;
        }
        let (Some(by), Some(of)) = (facts.address("attester"), facts.address("recipient")) else {
            return;
        };
        let Some(uid) = holdings::word(facts, "uid").filter(|_| by != of) else { return };
        match facts.event.name.as_str() {
            "attested" => {
                write(state, Key::Claim(by, of), &uid);
                // One member, who is nobody's wallet, and wallets that have none themselves.
                let is_free = |it: Address| linked(state, it).is_none();
                let claimed = claim(state, of, by).is_some();
                if claimed && is_free(by) && is_free(of) && wallets(state, by).next().is_none() {
                    self.link(by, of, true, &facts.log, state, touched);
                }
            }
            "revoked" if claim(state, by, of) == Some(uid) => {
                state.set(Key::Claim(by, of), None);
                for (wallet, member) in [(by, of), (of, by)] {
                    if linked(state, wallet) == Some(member) {
                        self.link(wallet, member, false, &facts.log, state, touched);
                    }
                }
            }
            _ => {}
        }
    }

    /// Makes a link, or unmakes it: what the wallet holds comes to the member, or goes.
    fn link(
        &self,
        wallet: Address,
        member: Address,
        comes: bool,
        by: &Counted,
        state: &mut State,
        touched: &mut Touched,
    ) {
        write_or_remove(state, Key::Linked(wallet), comes.then_some(&member));
        write_or_remove(state, Key::Wallet(member, wallet), comes.then_some(&()));
        for (what, looking) in self.index.by_holding.values().flatten() {
            for (piece, amount) in holdings::pieces(state, *what, looking.place, wallet) {
                let of = holdings::Shift { user: member, comes, piece, amount };
                holdings::shift(state, looking.place, &looking.since, &of, by);
            }
        }
        let all: Places = (0..self.achievements.len()).collect();
        touched.touch(wallet, &all);
        touched.touch(member, &all);
    }
}

/// An address that an event names, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Party {
    pub(super) member: Address,
    /// The address, where it may be another's again: then what it holds goes with it.
    pub(super) wallet: Option<Address>,
}

/// The addresses of an event that others have, with whose they are.
pub(super) fn linked_of(
    links: &Links,
    state: &State,
    addresses: impl Iterator<Item = Address>,
) -> Vec<(Address, Address)> {
    match links {
        Links::Attested { .. } => {
            addresses.filter_map(|it| Some((it, linked(state, it)?))).collect()
        }
        Links::None | Links::Listed { .. } => Vec::new(),
    }
}
