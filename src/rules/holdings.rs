//! Who has what of a contract: tokens, amounts, and the votes of others.

use std::iter;

use alloy::primitives::{Address, B256, U256};
use smallvec::SmallVec;

use super::{
    decide::Touched,
    facts::Facts,
    index::Looking,
    memory::{Counted, Key, State, read, write, write_or_remove},
    model::RuleSet,
    mutual::Party,
    tree::{Having, Holding},
};
use crate::domain::{FieldType, Name, Value};

/// Something that changed hands.
struct Moved {
    from: Option<Party>,
    to: Option<Party>,
    /// Of an ERC-721 token, a type of tokens or an attestation.
    id: Option<U256>,
    /// Of what schema and by whom an attestation is.
    attested: Option<(B256, Address)>,
    /// 1 of an ERC-721 token.
    amount: U256,
}

/// What of it comes to an address or goes.
struct Shift {
    address: Address,
    comes: bool,
    /// What there is one of is kept by its own name, with the log by which it came;
    /// of amounts, the latest log by which any came.
    piece: Option<U256>,
    amount: U256,
}

/// How much there is of something before an event and after it.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) before: U256,
    pub(super) after: U256,
}

/// How much is at an address of something.
pub(super) fn held(state: &State, place: u32, address: Address) -> U256 {
    read(state, &Key::Held(place, address)).unwrap_or_default()
}

/// By what it came to an address, in no order.
pub(super) fn receipts(state: &State, place: u32, address: Address) -> Vec<Counted> {
    let all = Key::Token(place, address, U256::ZERO.into())
        ..=Key::Token(place, address, U256::MAX.into());
    let logs = state.listed(all).filter_map(|(_, value)| postcard::from_bytes(value.bytes()?).ok());
    logs.collect()
}

/// Since when a user has had so much of it, in seconds since the Unix epoch.
pub(super) fn since(state: &State, place: u32, at_least: U256, user: Address) -> Option<u64> {
    read(state, &Key::Since(place, at_least.into(), user))
}

/// Adds to what is at an address, or takes from it.
fn shift(state: &mut State, place: u32, of: &Shift, by: &Counted) -> Change {
    let Shift { address, comes, piece, amount } = *of;
    let before = held(state, place, address);
    let key = Key::Token(place, address, piece.unwrap_or_default().into());
    // What nobody knew of, because it came before the contract's first block, can't go.
    let counts = piece.is_none() || state.value(&key).is_some() != comes;
    let after = match comes {
        _ if !counts => before,
        true => before.saturating_add(amount),
        false => before.saturating_sub(amount),
    };
    match piece {
        Some(_) => write_or_remove(state, key, comes.then_some(by)),
        None if comes => write(state, key, by),
        None if after.is_zero() => state.set(key, None),
        None => {}
    }
    if before != after {
        write_or_remove(state, Key::Held(place, address), (!after.is_zero()).then_some(&after));
    }
    Change { before, after }
}

/// Notes since when a user has had as much as somebody asks for.
pub(super) fn mark(state: &mut State, looking: &Looking, user: Address, of: Change, time: u64) {
    for mark in &looking.since {
        let reached = (of.before < *mark, of.after < *mark);
        if reached.0 != reached.1 {
            let since = (!reached.1).then_some(time);
            let key = Key::Since(looking.place, (*mark).into(), user);
            write_or_remove(state, key, since.as_ref());
        }
    }
}

impl RuleSet {
    /// How much a user has of something.
    pub(super) fn held(&self, state: &State, of: &Holding, user: Address) -> U256 {
        self.total(state, of.place, user)
    }

    /// How much a user has, wherever.
    pub(super) fn total(&self, state: &State, place: u32, user: Address) -> U256 {
        let others = self.other_wallets(state, user).map(|wallet| held(state, place, wallet));
        others.fold(held(state, place, user), U256::saturating_add)
    }

    /// How much a user has beside what is at one of their addresses.
    fn elsewhere(&self, state: &State, place: u32, of: Party) -> U256 {
        let all = iter::once(of.member).chain(self.other_wallets(state, of.member));
        let others = all.filter(|it| *it != of.address).map(|it| held(state, place, it));
        others.fold(U256::ZERO, U256::saturating_add)
    }

    /// By what a user came to it, in position order.
    pub(super) fn receipts(&self, state: &State, place: u32, user: Address) -> Vec<Counted> {
        let all = iter::once(user).chain(self.other_wallets(state, user));
        let mut logs: Vec<Counted> = all.flat_map(|it| receipts(state, place, it)).collect();
        logs.sort_by_key(Counted::position);
        logs
    }

    /// Keeps who has what of the contracts that somebody asks about, and touches those
    /// of whom that may decide something.
    pub(super) fn move_holdings(
        &self,
        facts: &Facts<'_>,
        state: &mut State,
        touched: &mut Touched,
    ) {
        let Some(of_contract) = self.index.by_holding.get(&facts.event.contract) else { return };
        let by = &facts.log;
        let time = facts.event.position.time;
        let mut delegators: SmallVec<[(Address, bool); 2]> = SmallVec::new();
        for moved in moved(facts) {
            // Who sends it to themselves has had it all the time; and anybody can send
            // nothing to everybody.
            let address = |party: Option<Party>| party.map(|it| it.address);
            if address(moved.from) == address(moved.to) || moved.amount.is_zero() {
                continue;
            }
            for (what, looking) in of_contract {
                let Some(piece) = what.piece_of(&moved) else { continue };
                let of = |party: Party, comes: bool| {
                    let (address, amount) = (party.address, moved.amount);
                    Shift { address, comes, piece, amount }
                };
                for (user, change) in self.shift_parties(&moved, looking, of, by, state) {
                    mark(state, looking, user, change, time);
                    touched.touch(user, &looking.achievements);
                    if looking.weighs && change.before.is_zero() != change.after.is_zero() {
                        delegators.push((user, !change.after.is_zero()));
                    }
                }
            }
        }
        let Some(looking) = of_contract.get(&Having::Delegators) else { return };
        let mut delegate = |state: &mut State, delegator: Address, to: Address, comes: bool| {
            // One's own votes are nobody's trust.
            if delegator == to {
                return;
            }
            let piece = Some(U256::from_be_slice(delegator.as_slice()));
            let of = Shift { address: to, comes, piece, amount: U256::from(1) };
            let change = shift(state, looking.place, &of, by);
            mark(state, looking, to, change, time);
            touched.touch(to, &looking.achievements);
        };
        for (delegator, has) in delegators {
            if let Some(to) = read(state, &Key::Delegate(looking.place, delegator)) {
                delegate(state, delegator, to, has);
            }
        }
        if facts.event.name.as_str() == DELEGATED
            && let Some(delegator) = facts.member("delegator")
        {
            let to = facts.member("to_delegate");
            let key = Key::Delegate(looking.place, delegator);
            let before: Option<Address> = read(state, &key);
            write_or_remove(state, key, to.as_ref());
            // Who has nothing to vote with trusts nobody with it yet.
            let mut weighs = of_contract.values().filter(|it| it.weighs);
            let has = weighs.any(|it| !held(state, it.place, delegator).is_zero());
            if has && before != to {
                for (to, comes) in [(before, false), (to, true)] {
                    if let Some(to) = to {
                        delegate(state, delegator, to, comes);
                    }
                }
            }
        }
    }
}

impl RuleSet {
    /// Takes something from one and gives it to the other: how much each user has had of
    /// it and has.
    fn shift_parties(
        &self,
        moved: &Moved,
        looking: &Looking,
        of: impl Fn(Party, bool) -> Shift,
        by: &Counted,
        state: &mut State,
    ) -> SmallVec<[(Address, Change); 2]> {
        let place = looking.place;
        if let (Some(from), Some(to)) = (moved.from, moved.to)
            && from.member == to.member
        {
            // It never left; but of what nobody knew of, it is known now.
            let before = self.total(state, place, to.member);
            shift(state, place, &of(from, false), by);
            shift(state, place, &of(to, true), by);
            let after = self.total(state, place, to.member);
            return SmallVec::from_iter([(to.member, Change { before, after })]);
        }
        let parties = [(moved.from, false), (moved.to, true)];
        let parties = parties.into_iter().filter_map(|(party, comes)| Some((party?, comes)));
        let change = |(party, comes): (Party, bool)| {
            let elsewhere = self.elsewhere(state, place, party);
            let Change { before, after } = shift(state, place, &of(party, comes), by);
            let all = |own: U256| own.saturating_add(elsewhere);
            (party.member, Change { before: all(before), after: all(after) })
        };
        parties.map(change).collect()
    }
}

/// Whom somebody lets vote.
pub(super) const DELEGATED: &str = "delegate_changed";

impl Having {
    /// By what name something that moved is kept; `None` if it is not this.
    fn piece_of(self, moved: &Moved) -> Option<Option<U256>> {
        match self {
            Self::Attestations { schema, attester } => {
                (moved.attested == Some((schema, attester))).then_some(moved.id)
            }
            _ if moved.attested.is_some() => None,
            Self::Tokens => moved.id.map(Some),
            Self::Token(id) => (moved.id == Some(id)).then_some(moved.id),
            Self::Amount => moved.id.is_none().then_some(None),
            Self::Item(id) => (moved.id == Some(id)).then_some(None),
            Self::Delegators => None,
        }
    }

    /// As it stands in sentences.
    pub(super) fn words(self, contract: &Name) -> String {
        match self {
            Self::Tokens | Self::Amount => contract.to_string(),
            Self::Token(id) | Self::Item(id) => format!("{contract} {id}"),
            Self::Attestations { schema, attester } => {
                format!("{contract}'s attestations of {schema} by {attester}")
            }
            Self::Delegators => format!("{contract}'s delegators"),
        }
    }
}

/// What an event says changed hands.
fn moved(facts: &Facts<'_>) -> SmallVec<[Moved; 1]> {
    let (kind, batch) = match facts.event.name.as_str().split_once('_') {
        None => (facts.event.name.as_str(), false),
        Some((kind, "batch")) => (kind, true),
        Some(_) => return SmallVec::new(),
    };
    let (from, to) = match kind {
        "minted" => (None, facts.party("to")),
        "transferred" => (facts.party("from"), facts.party("to")),
        "burned" => (facts.party("from"), None),
        "attested" => (None, facts.party("recipient")),
        "revoked" => (facts.party("recipient"), None),
        _ => return SmallVec::new(),
    };
    let of = |id: Option<U256>, amount: U256| Moved { from, to, id, attested: None, amount };
    if let (Some(uid), Some(schema)) = (word(facts, "uid"), word(facts, "schema_uid")) {
        let attested = facts.address("attester").map(|attester| (schema, attester));
        let one = of(Some(uid.into()), U256::from(1));
        return SmallVec::from_iter([Moved { attested, ..one }]);
    }
    if batch {
        let numbers = |field| uints(facts, field);
        return numbers("ids").zip(numbers("values")).map(|(id, it)| of(Some(id), it)).collect();
    }
    let one = match (facts.uint("token_id"), facts.uint("id"), facts.uint("value")) {
        (Some(id), _, _) => of(Some(id), U256::from(1)),
        (None, id, Some(value)) => of(id, value),
        (None, _, None) => return SmallVec::new(),
    };
    SmallVec::from_iter([one])
}

/// A field of 32 bytes.
pub(super) fn word(facts: &Facts<'_>, field: &str) -> Option<B256> {
    match &*facts.value(field, &FieldType::Bytes)? {
        Value::Bytes(bytes) => B256::try_from(bytes.as_ref()).ok(),
        _ => None,
    }
}

fn uints<'f>(facts: &'f Facts<'_>, field: &str) -> impl Iterator<Item = U256> + use<'f> {
    let list = FieldType::List(Box::new(FieldType::Uint));
    let items = match facts.value(field, &list).map(std::borrow::Cow::into_owned) {
        Some(Value::List(items)) => items,
        _ => Vec::new(),
    };
    items.into_iter().filter_map(|item| match item {
        Value::Uint(number) => Some(number),
        _ => None,
    })
}
