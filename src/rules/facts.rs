//! An event's fields, each read once however many meters ask for it.

use std::{borrow::Cow, cell::OnceCell};

use alloy::primitives::{Address, B128, U256};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::{
    links::Links,
    memory::{Counted, State},
    meter::Signal,
    mutual::{self, Party},
    number::Number,
};
use crate::domain::{Event, FieldType, Value};

/// An event as rules see it.
pub(super) struct Facts<'e> {
    pub(super) event: &'e Event,
    /// It as a log that counts.
    pub(super) log: Counted,
    links: &'e Links,
    /// Addresses that were another's wallets before it, with whose.
    linked: Vec<(Address, Address)>,
    /// In order of their names.
    fields: SmallVec<[Field<'e>; 8]>,
}

struct Field<'e> {
    name: &'e str,
    json: &'e Json,
    /// As the type that was asked for first: as a rule the only one.
    read: OnceCell<(FieldType, Option<Value>)>,
    mark: OnceCell<B128>,
}

impl<'e> Facts<'e> {
    pub(super) fn of(event: &'e Event, links: &'e Links, state: &State) -> Self {
        Self::from_log(event, Counted::of(event), links, state)
    }

    /// Of an event that follows from a log.
    pub(super) fn from_log(
        event: &'e Event,
        log: Counted,
        links: &'e Links,
        state: &State,
    ) -> Self {
        let field = |(name, json): (&'e str, &'e Json)| Field {
            name,
            json,
            read: OnceCell::new(),
            mark: OnceCell::new(),
        };
        let text = |json: &Json| json.as_str()?.parse().ok();
        let linked = mutual::linked_of(links, state, event.fields.values().filter_map(text));
        Self { event, log, links, linked, fields: event.fields.iter().map(field).collect() }
    }

    fn field(&self, name: &str) -> Option<&Field<'e>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A field as the type that its schema promises; `None` where it is missing
    /// or of another.
    pub(super) fn value(&self, name: &str, field_type: &FieldType) -> Option<Cow<'_, Value>> {
        let field = self.field(name)?;
        let read = || Value::from_json(field_type, field.json).ok();
        let (known, value) = field.read.get_or_init(|| (field_type.clone(), read()));
        match known == field_type {
            true => value.as_ref().map(Cow::Borrowed),
            false => read().map(Cow::Owned),
        }
    }

    /// Whom an address belongs to. The zero address stands for nobody and earns
    /// nothing.
    pub(super) fn member(&self, name: &str) -> Option<Address> {
        self.party(name).map(|party| party.member)
    }

    /// The same, with the address.
    pub(super) fn party(&self, name: &str) -> Option<Party> {
        let address = self.address(name)?;
        Some(match self.linked.iter().find(|(wallet, _)| *wallet == address) {
            Some((_, member)) => Party { address, member: *member },
            None => {
                let member = self.links.listed(address);
                Party { address: member, member }
            }
        })
    }

    /// Who has what is on chain: a wallet may be another's again, and has its own then.
    pub(super) fn owner(&self, name: &str) -> Option<Address> {
        self.address(name).map(|address| self.links.listed(address))
    }

    /// An address itself.
    pub(super) fn address(&self, name: &str) -> Option<Address> {
        match *self.value(name, &FieldType::Address)? {
            Value::Address(address) => (!address.is_zero()).then_some(address),
            _ => None,
        }
    }

    /// Those whom any of some signals is about, each once.
    pub(super) fn users<'s>(
        &self,
        signals: impl Iterator<Item = &'s Signal>,
    ) -> SmallVec<[Address; 4]> {
        let mut users = SmallVec::new();
        for user in signals.filter_map(|signal| self.member(&signal.subject)) {
            if !users.contains(&user) {
                users.push(user);
            }
        }
        users
    }

    pub(super) fn uint(&self, name: &str) -> Option<U256> {
        match *self.value(name, &FieldType::Uint)? {
            Value::Uint(number) => Some(number),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str, field_type: &FieldType) -> Option<Number> {
        match *self.value(name, field_type)? {
            Value::Uint(number) => Some(Number::Uint(number)),
            Value::Int(number) => Some(Number::Int(number)),
            _ => None,
        }
    }

    /// Names a value that counts once. Ids of two contracts are different things,
    /// and so are fields.
    pub(super) fn mark(&self, name: &str, field_type: &FieldType) -> Option<B128> {
        let field = self.field(name)?;
        if let Some(mark) = field.mark.get() {
            return Some(*mark);
        }
        let value = self.value(name, field_type)?;
        // Processors have instructions for this one. Neither name has a space.
        let mut hasher = Sha256::new();
        for part in [self.event.contract.as_str(), " ", name, " "] {
            hasher.update(part);
        }
        match &*value {
            Value::Uint(number) => hasher.update(number.to_be_bytes::<32>()),
            other => hasher.update(other.to_json().to_string()),
        }
        let hash = hasher.finalize();
        // Half of it tells apart what anybody can find.
        let mark = hash.first_chunk::<16>().map(B128::from)?;
        Some(*field.mark.get_or_init(|| mark))
    }
}
