//! What a person has paused: signers, rule sets, or everything that signs.
//!
//! The state is kept in the store and outlives the daemon. Who signs or sends
//! looks at [`Pauses`] right before, and what is being sent is abandoned.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    domain::Name,
    store::{StoreError, StoreHandle, Table, Write},
};

/// What to pause, or to let go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything. Letting everything go on ends the other pauses, too.
    All,
    /// A signer: it signs nothing, and sends nothing that it has signed.
    Signer(Name),
    /// A rule set: nothing new is signed for it, and what no node has yet is
    /// not sent. Its achievements are evaluated all the same.
    RuleSet(Name),
}

/// All that is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Everything.
    #[serde(default)]
    pub all: bool,
    /// Single signers.
    #[serde(default)]
    pub signers: BTreeSet<Name>,
    /// Single rule sets.
    #[serde(default)]
    pub rule_sets: BTreeSet<Name>,
}

impl Paused {
    /// Whether a signer may neither sign nor send.
    #[must_use]
    pub fn signer(&self, name: &Name) -> bool {
        self.all || self.signers.contains(name)
    }

    /// Whether nothing new may be signed for a rule set.
    #[must_use]
    pub fn rule_set(&self, name: &Name) -> bool {
        self.all || self.rule_sets.contains(name)
    }

    /// Pauses, or lets go on. Returns whether that changed anything.
    pub fn set(&mut self, scope: &Scope, paused: bool) -> bool {
        let member = |set: &mut BTreeSet<Name>, name: &Name| match paused {
            true => set.insert(name.clone()),
            false => set.remove(name),
        };
        match scope {
            Scope::Signer(name) => member(&mut self.signers, name),
            Scope::RuleSet(name) => member(&mut self.rule_sets, name),
            Scope::All if paused => !std::mem::replace(&mut self.all, true),
            Scope::All => {
                let was = std::mem::take(self);
                was != Self::default()
            }
        }
    }
}

/// The present state; clones of its receivers see every change at once.
#[derive(Debug)]
pub struct Pauses {
    state: watch::Sender<Paused>,
    /// One change at a time, or the store could keep an older one.
    changing: tokio::sync::Mutex<()>,
}

const KEY: &[u8] = b"pauses";

impl Pauses {
    /// As the store has it. What can't be read pauses everything: it was
    /// somebody's reason to stop.
    #[must_use]
    pub fn restore(record: Option<&[u8]>) -> Self {
        let paused = record.map_or_else(Paused::default, |record| {
            serde_json::from_slice(record).unwrap_or_else(|error| {
                tracing::error!("what is paused can't be read, so everything is: {error}");
                Paused { all: true, ..Paused::default() }
            })
        });
        Self { state: watch::channel(paused).0, changing: tokio::sync::Mutex::new(()) }
    }

    /// The key of its record in [`Table::Meta`].
    #[must_use]
    pub fn key() -> &'static [u8] {
        KEY
    }

    /// What is paused.
    #[must_use]
    pub fn now(&self) -> Paused {
        self.state.borrow().clone()
    }

    /// Sees every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Paused> {
        self.state.subscribe()
    }

    /// Pauses at once and then writes it down; lets go on only what is written
    /// down. Returns what is paused then.
    ///
    /// # Errors
    /// When the store does not take it: a pause holds until the daemon ends, and
    /// what was paused stays so.
    pub async fn set(
        &self,
        store: &StoreHandle,
        scope: &Scope,
        paused: bool,
    ) -> Result<Paused, StoreError> {
        let _one = self.changing.lock().await;
        let mut next = self.now();
        if !next.set(scope, paused) {
            return Ok(next);
        }
        if paused {
            self.state.send_replace(next.clone());
        }
        // A struct of strings and booleans always has a JSON form.
        let record = serde_json::to_vec(&next).unwrap_or_default();
        store.commit(vec![Write::put(Table::Meta, KEY, record)]).await?;
        self.state.send_replace(next.clone());
        tracing::warn!(?scope, paused, "a person paused or resumed");
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn everything_is_all_signers_and_rule_sets() {
        let mut paused = Paused::default();
        assert!(paused.set(&Scope::Signer(name("awards")), true));
        assert!(!paused.set(&Scope::Signer(name("awards")), true), "it was");
        assert!(paused.signer(&name("awards")) && !paused.signer(&name("other")));
        assert!(!paused.rule_set(&name("awards")));
        assert!(paused.set(&Scope::All, true));
        assert!(paused.signer(&name("other")) && paused.rule_set(&name("any")));
        assert!(!paused.set(&Scope::Signer(name("other")), false));
        assert!(paused.set(&Scope::All, false));
        assert_eq!(paused, Paused::default());
        assert!(!paused.set(&Scope::All, false));
    }

    #[test]
    fn a_record_that_cannot_be_read_pauses_everything() {
        assert_eq!(Pauses::restore(None).now(), Paused::default());
        for broken in [&b""[..], b"{", b"7", b"{\"signers\":[\"A B\"]}"] {
            assert!(Pauses::restore(Some(broken)).now().all);
        }
        let mut paused = Paused::default();
        paused.set(&Scope::RuleSet(name("votes")), true);
        let record = serde_json::to_vec(&paused).unwrap();
        assert_eq!(Pauses::restore(Some(&record)).now(), paused);
    }
}
