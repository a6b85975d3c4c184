//! Who has earned and lost what.

use std::collections::BTreeMap;

use crate::{domain::UnlockId, rules::Unlock};

/// All that was earned and lost, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Awards {
    told: Vec<Unlock>,
}

impl Awards {
    /// Something was earned or lost.
    pub(super) fn say(&mut self, unlock: Unlock) {
        self.told.push(unlock);
    }

    /// A reorg took back what was told: the latest comes first.
    pub(super) fn take_back(&mut self, unlock: &Unlock) {
        if let Some(at) = self.told.iter().rposition(|told| told == unlock) {
            self.told.remove(at);
        }
    }

    /// What was earned and lost, in order.
    pub(super) fn all(&self) -> &[Unlock] {
        &self.told
    }

    /// What is held in the end.
    pub(super) fn held(&self) -> BTreeMap<UnlockId, &Unlock> {
        let mut held = BTreeMap::new();
        for unlock in &self.told {
            match unlock.lapsed {
                None => held.insert(unlock.request.id, unlock),
                Some(_) => held.remove(&unlock.request.id),
            };
        }
        held
    }
}
