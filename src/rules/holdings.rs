//! Who has what of a contract: tokens, amounts, and the votes of others.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use smallvec::SmallVec;

use super::{
    decide::Touched,
    facts::Facts,
    index::Looking,
    memory::{Counted, Key, State, read, write, write_or_remove},
    model::{Having, Holding, RuleSet},
    mutual::Party,
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

/// What of it comes to a user or goes.
pub(super) struct Shift {
    pub(super) user: Address,
    pub(super) comes: bool,
    /// What there is one of is kept by its own name, with the log by which it came;
    /// of amounts, the latest log by which any came.
    pub(super) piece: Option<U256>,
    pub(super) amount: U256,
}

/// How much a user has of something.
pub(super) fn held(state: &State, place: u32, user: Address) -> U256 {
    read(state, &Key::Held(place, user)).unwrap_or_default()
}

/// By what a user came to it, in position order.
pub(super) fn receipts(state: &State, place: u32, user: Address) -> Vec<Counted> {
    let all =
        Key::Token(place, user, U256::ZERO.into())..=Key::Token(place, user, U256::MAX.into());
    let logs = state.listed(all).filter_map(|(_, value)| postcard::from_bytes(value.bytes()?).ok());
    let mut logs: Vec<Counted> = logs.collect();
    logs.sort_by_key(Counted::position);
    logs
}

/// What a user has of something, by the names that pieces are kept by.
pub(super) fn pieces(
    state: &State,
    what: Having,
    place: u32,
    user: Address,
) -> Vec<(Option<U256>, U256)> {
    match what {
        Having::Amount | Having::Item(_) => {
            let held = held(state, place, user);
            (!held.is_zero()).then_some((None, held)).into_iter().collect()
        }
        Having::Tokens | Having::Token(_) | Having::Attestations { .. } | Having::Delegators => {
            let all = Key::Token(place, user, U256::ZERO.into())
                ..=Key::Token(place, user, U256::MAX.into());
            let piece = |key: &Key| match key {
                Key::Token(_, _, piece) => Some((Some(**piece), U256::from(1))),
                _ => None,
            };
            state.listed(all).filter_map(|(key, _)| piece(key)).collect()
        }
    }
}

/// Since when a user has had so much of it, in seconds since the Unix epoch.
pub(super) fn since(state: &State, place: u32, at_least: U256, user: Address) -> Option<u64> {
    read(state, &Key::Since(place, at_least.into(), user))
}

/// Adds to what a user has, or takes from it. How much the user had and has then.
pub(super) fn shift(
    state: &mut State,
    place: u32,
    marks: &BTreeSet<U256>,
    of: &Shift,
    by: &Counted,
) -> (U256, U256) {
    let Shift { user, comes, piece, amount } = *of;
    let before = held(state, place, user);
    let key = Key::Token(place, user, piece.unwrap_or_default().into());
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
        write_or_remove(state, Key::Held(place, user), (!after.is_zero()).then_some(&after));
    }
    for mark in marks {
        let reached = (before < *mark, after < *mark);
        if reached.0 != reached.1 {
            let since = (!reached.1).then_some(by.position().time);
            write_or_remove(state, Key::Since(place, (*mark).into(), user), since.as_ref());
        }
    }
    (before, after)
}

impl RuleSet {
    /// How much a user has of something.
    pub(super) fn held(&self, state: &State, of: &Holding, user: Address) -> U256 {
        self.looking(of).map_or(U256::ZERO, |looking| held(state, looking.place, user))
    }

    /// Who looks at something that users have.
    pub(super) fn looking(&self, of: &Holding) -> Option<&Looking> {
        self.index.by_holding.get(&of.contract)?.get(&of.what)
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
        let mut delegators: SmallVec<[(Address, bool); 2]> = SmallVec::new();
        for moved in moved(facts) {
            // Who sends it to themselves has had it all the time; and anybody can send
            // nothing to everybody.
            if moved.from == moved.to || moved.amount.is_zero() {
                continue;
            }
            let stays = moved.from.map(|it| it.member) == moved.to.map(|it| it.member);
            for (party, comes) in [(moved.from, false), (moved.to, true)] {
                let Some(Party { member: user, wallet }) = party else { continue };
                for (what, looking) in of_contract {
                    let Some(piece) = what.piece_of(&moved) else { continue };
                    let of = Shift { user, comes, piece, amount: moved.amount };
                    if let Some(user) = wallet {
                        let own = Shift { user, ..of };
                        shift(state, looking.place, &looking.since, &own, by);
                    }
                    if stays {
                        continue;
                    }
                    let (had, has) = shift(state, looking.place, &looking.since, &of, by);
                    touched.touch(user, &looking.achievements);
                    if looking.weighs && had.is_zero() != has.is_zero() {
                        delegators.push((user, comes));
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
            let of = Shift { user: to, comes, piece, amount: U256::from(1) };
            shift(state, looking.place, &looking.since, &of, by);
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
