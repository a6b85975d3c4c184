//! Wallets of one member: what any of them does, the member did.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, B256, Keccak256};

use super::{
    catalog::Catalog,
    document::{Errors, Node},
    error::{Problem, suggest},
};
use crate::domain::Name;

/// Who is whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Links {
    list: Option<Name>,
    members: Arc<BTreeMap<Address, Address>>,
}

impl Links {
    /// Those that a list names.
    pub(super) fn compile(
        node: &Node<'_>,
        catalog: &Catalog,
        errors: &mut Errors<'_>,
    ) -> Option<Self> {
        let remedy = "name a list with the columns address and member: links = \"wallets\" is \
                      rules/wallets.csv";
        let text = node.text(errors, remedy)?;
        if let Some((list, members)) = catalog.links.get_key_value(text) {
            return Some(Self { list: Some(list.clone()), members: Arc::clone(members) });
        }
        let (list, known) = (text.to_owned(), catalog.links.keys().map(Name::as_str));
        let problem = match catalog.lists.contains_key(text) {
            true => Problem::NoMembers { list },
            false => Problem::UnknownList { list },
        };
        errors.report(node, problem, suggest(text, known, remedy));
        None
    }

    /// The member who has an address: mostly itself.
    pub(super) fn member(&self, address: Address) -> Address {
        self.members.get(&address).copied().unwrap_or(address)
    }

    /// The list's name, and what stands for all that is on it.
    pub(super) fn meaning(&self) -> Option<(&Name, B256)> {
        let mut hasher = Keccak256::new();
        for (address, member) in &*self.members {
            hasher.update(address);
            hasher.update(member);
        }
        Some((self.list.as_ref()?, hasher.finalize()))
    }
}
