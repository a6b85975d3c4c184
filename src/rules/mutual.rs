//! Wallets that attest of each other that they are one member's.
//!
//! An attestation names who says it and of whom; anybody can say of any wallet that it is
//! theirs. So a link takes two of a schema: the member's of the wallet, and then the
//! wallet's of the member. It holds from the second on, until either is revoked. What the
//! wallet does in that time counts for the member, and what it holds is in the member's
//! hands; by itself it earns nothing, and has nothing that is only had while something holds.
//! What it did before stays its own.
//!
//! Whose a wallet was first, it is for ever, or nobody's: what can't be transferred would be
//! lent to one after the other otherwise.

use std::iter;

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{
    decide::Touched,
    facts::Facts,
    holdings::{self, Change},
    links::Links,
    memory::{Key, State, read, write},
    model::RuleSet,
    places::Places,
    tree::ListedLeaf,
};

/// So many wallets a member can have: each look at one of them is a look at all.
const WALLETS_MAX: usize = 16;

/// Whose wallet an address is, or was.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Link {
    member: Address,
    holds: bool,
}

/// An address that an event names, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Party {
    /// Under what it is kept what is there: of wallets in a list the member.
    pub(super) address: Address,
    pub(super) member: Address,
}

fn link(state: &State, address: Address) -> Option<Link> {
    read(state, &Key::Linked(address))
}

/// Whose wallet an address is now.
fn linked(state: &State, address: Address) -> Option<Address> {
    link(state, address).filter(|link| link.holds).map(|link| link.member)
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

/// A member's other wallets.
fn wallets(state: &State, member: Address) -> impl Iterator<Item = Address> {
    let all = Key::Wallet(member, Address::ZERO)..=Key::Wallet(member, Address::repeat_byte(0xff));
    state.listed(all).filter_map(|(key, _)| match key {
        Key::Wallet(_, wallet) => Some(*wallet),
        _ => None,
    })
}

/// An attestation that another wallet is the same member's, that was not revoked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Of several of the same two the latest.
    uid: B256,
    /// The other said it before: that it was said anew since changes nothing.
    answers: bool,
}

fn claim(state: &State, by: Address, of: Address) -> Option<Claim> {
    read(state, &Key::Claim(by, of))
}

/// Which of two that attest it of each other is whose wallet: as it was before, or else of
/// whom the other said it first. None where they don't, or that can't be.
fn roles(state: &State, by: Address, of: Address) -> Option<(Address, Address)> {
    let was = |wallet, member| link(state, wallet).is_some_and(|link| link.member == member);
    let (first, second) = match claim(state, by, of)?.answers {
        true => (of, by),
        false => (by, of),
    };
    claim(state, of, by)?;
    let (wallet, member) = if was(first, second) { (first, second) } else { (second, first) };
    let is_free = link(state, wallet).is_none_or(|link| link.member == member && !link.holds);
    let can = is_free
        && linked(state, member).is_none()
        && wallets(state, wallet).next().is_none()
        && wallets(state, member).count() < WALLETS_MAX;
    can.then_some((wallet, member))
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

    /// A member's other wallets.
    pub(super) fn other_wallets(
        &self,
        state: &State,
        member: Address,
    ) -> impl Iterator<Item = Address> {
        let can_have = matches!(self.links, Links::Attested { .. });
        can_have.then(|| wallets(state, member)).into_iter().flatten()
    }

    /// Whoever has a wallet on a list is on it.
    pub(super) fn is_listed(&self, state: &State, leaf: &ListedLeaf, member: Address) -> bool {
        let mut all = iter::once(member).chain(self.other_wallets(state, member));
        all.any(|wallet| leaf.users.contains(&wallet)) == leaf.among
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
                let answers = match claim(state, by, of) {
                    Some(before) => before.answers,
                    None => claim(state, of, by).is_some(),
                };
                write(state, Key::Claim(by, of), &Claim { uid, answers });
                if let Some((wallet, member)) = roles(state, by, of) {
                    self.link(wallet, Link { member, holds: true }, facts, state, touched);
                }
            }
            "revoked" if claim(state, by, of).is_some_and(|claim| claim.uid == uid) => {
                state.set(Key::Claim(by, of), None);
                if let Some(other) = claim(state, of, by) {
                    write(state, Key::Claim(of, by), &Claim { answers: false, ..other });
                }
                for (wallet, member) in [(by, of), (of, by)] {
                    if linked(state, wallet) == Some(member) {
                        self.link(wallet, Link { member, holds: false }, facts, state, touched);
                    }
                }
            }
            _ => {}
        }
    }

    /// Makes a link, or unmakes it: what is in the wallet is in the member's hands, or in
    /// its own, from now on.
    fn link(
        &self,
        wallet: Address,
        link: Link,
        facts: &Facts<'_>,
        state: &mut State,
        touched: &mut Touched,
    ) {
        let Link { member, holds } = link;
        let of_wallet = Key::Wallet(member, wallet);
        let looked_at = || self.index.by_holding.values().flat_map(|it| it.values());
        // Without what is in it.
        state.set(of_wallet.clone(), None);
        for looking in looked_at() {
            let own = holdings::held(state, looking.place, wallet);
            let without = self.total(state, looking.place, member);
            let with = without.saturating_add(own);
            let changes = match holds {
                true => [(member, without, with), (wallet, own, U256::ZERO)],
                false => [(member, with, without), (wallet, U256::ZERO, own)],
            };
            for (user, before, after) in changes {
                let change = Change { before, after };
                holdings::mark(state, looking, user, change, facts.event.position.time);
            }
        }
        write(state, Key::Linked(wallet), &link);
        if holds {
            write(state, of_wallet, &());
        }
        let all: Places = (0..self.achievements.len()).collect();
        touched.touch(wallet, &all);
        touched.touch(member, &all);
    }
}
