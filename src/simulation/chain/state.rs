//! All that there is at a block. A clone shares what does not change, so that every
//! block can keep its own.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, U256};

use super::{
    Deployment,
    contracts::{Achievements, Badge, Change, Governor},
};

/// What an address has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    /// Transactions that it sent.
    pub(super) nonce: u64,
    pub(super) balance: U256,
    /// Fees that it paid.
    pub(super) spent: U256,
}

/// Accounts, and the storage of contracts.
#[derive(Clone, Debug)]
pub(super) struct State {
    accounts: Arc<BTreeMap<Address, Account>>,
    pub(super) achievements: Arc<Achievements>,
    pub(super) badge: Arc<Badge>,
    pub(super) governor: Arc<Governor>,
}

impl State {
    /// Before anybody did anything.
    pub(super) fn new(deployment: &Deployment) -> Self {
        Self {
            accounts: Arc::default(),
            achievements: Arc::new(Achievements::new(deployment.admin)),
            badge: Arc::default(),
            governor: Arc::default(),
        }
    }

    pub(super) fn account(&self, of: Address) -> Account {
        self.accounts.get(&of).copied().unwrap_or_default()
    }

    pub(super) fn account_mut(&mut self, of: Address) -> &mut Account {
        Arc::make_mut(&mut self.accounts).entry(of).or_default()
    }

    pub(super) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Achievements(it) => Arc::make_mut(&mut self.achievements).apply(it),
                Change::Badge(it) => Arc::make_mut(&mut self.badge).apply(it),
                Change::Governor(it) => Arc::make_mut(&mut self.governor).apply(it),
            }
        }
    }
}
