//! Wallets of one member: what any of them does, the member did.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, B256, Keccak256};

use super::{
    catalog::{Catalog, CatalogContract},
    document::{Errors, Node, Table},
    error::{Problem, suggest},
    model::Achievement,
    stocks,
    tree::{Having, Leaf},
};
use crate::domain::Name;

/// Who is whose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Links {
    /// Everybody has one wallet.
    #[default]
    None,
    /// As a list says, from the first event on.
    Listed { list: Name, members: Arc<BTreeMap<Address, Address>> },
    /// As wallets attest of each other, while they do: see [`super::mutual`].
    Attested { contract: Name, schema: B256 },
}

impl Links {
    /// Those that a list names, or that are attested.
    pub(super) fn compile(
        node: &Node<'_>,
        catalog: &Catalog,
        errors: &mut Errors<'_>,
    ) -> Option<Self> {
        if node.value.as_table().is_some() {
            return Self::attested(node, catalog, errors);
        }
        let remedy = "name a list with the columns address and member: links = \"wallets\" is \
                      rules/wallets.csv; or write links = { of = \"<contract of kind eas>\", \
                      schema = \"0x…\" }";
        let text = node.text(errors, remedy)?;
        if let Some((list, members)) = catalog.links.get_key_value(text) {
            return Some(Self::Listed { list: list.clone(), members: Arc::clone(members) });
        }
        let (list, known) = (text.to_owned(), catalog.links.keys().map(Name::as_str));
        let problem = match catalog.lists.contains_key(text) {
            true => Problem::NoMembers { list },
            false => Problem::UnknownList { list },
        };
        errors.report(node, problem, suggest(text, known, remedy));
        None
    }

    fn attested(node: &Node<'_>, catalog: &Catalog, errors: &mut Errors<'_>) -> Option<Self> {
        let remedy = "write links = { of = \"<contract of kind eas>\", schema = \"0x…\" }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["of", "schema"], errors);
        let schema = stocks::schema(&table, remedy, errors);
        let of = table.require("of", errors, remedy)?;
        let (name, known): (&Name, &CatalogContract) =
            stocks::holdable(catalog, &of, remedy, errors)?;
        let attests = stocks::attests(name, known, &of, errors);
        attests.then_some(Self::Attested { contract: name.clone(), schema: schema? })
    }

    /// Whose wallet a list says an address is: mostly nobody else's.
    pub(super) fn listed(&self, address: Address) -> Address {
        match self {
            Self::Listed { members, .. } => members.get(&address).copied().unwrap_or(address),
            Self::None | Self::Attested { .. } => address,
        }
    }

    /// The contract whose events say it.
    pub(super) fn contract(&self) -> Option<&Name> {
        match self {
            Self::Attested { contract, .. } => Some(contract),
            Self::None | Self::Listed { .. } => None,
        }
    }

    /// `None` where achievements can't be had by such members; that is reported.
    pub(super) fn fit(
        &self,
        achievements: &[Achievement],
        root: &Table<'_>,
        errors: &mut Errors<'_>,
    ) -> Option<()> {
        // Whose trust somebody had would have to be told apart by wallets.
        let asks =
            |leaf: &Leaf| matches!(leaf, Leaf::Holds(it) if it.tokens.what == Having::Delegators);
        let asked = achievements.iter().flat_map(|it| &it.leaves).any(asks);
        if asked && self.contract().is_some() {
            let problem = Problem::Conflict { keys: vec!["links = { of = … }", "delegators"] };
            let remedy = "list the wallets in a file, or give the rules about delegators a set \
                          of their own";
            errors.report(&root.get("links")?, problem, remedy);
            return None;
        }
        Some(())
    }

    /// What stands for all that it says.
    pub(super) fn meaning(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Listed { list, members } => {
                let mut hasher = Keccak256::new();
                for (address, member) in &**members {
                    hasher.update(address);
                    hasher.update(member);
                }
                Some(format!("{list} {:#x}", hasher.finalize()))
            }
            Self::Attested { contract, schema } => Some(format!("attested {contract} {schema:#x}")),
        }
    }
}
