//! Transaction actors: one for each nonce that lives.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use futures::future::join_all;

use super::{SignerActor, books::Books};
use crate::{
    actors::transaction::{NoReplacement, TransactionActor, TransactionSpec},
    domain::Name,
    signing::{
        calls::{Calls, Target},
        item::Item,
        lifecycle::Pace,
    },
    supervisor::{ArbiterClass, ChildSpec, StepLimits},
};

/// How long a finished transaction actor may take to go.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);

impl SignerActor {
    /// Gives every live, signed nonce its transaction actor, and shows each
    /// the newest record. To be called when all that was committed is on the
    /// stream too: what is broadcast was written down in both.
    pub(super) fn man_nonces(&mut self, books: &Books) {
        let live: Vec<u64> = books.ledger.live_nonces().map(|record| record.nonce).collect();
        for nonce in live {
            self.show(books, nonce);
        }
    }

    pub(super) fn show(&mut self, books: &Books, nonce: u64) {
        let Some(record) = books.ledger.nonce(nonce) else { return };
        if let Some(sender) = self.records.get(&nonce) {
            sender.send_replace(record.clone());
            return;
        }
        let Some(own) = self.spec.own.get().cloned() else { return };
        if record.attempts.is_empty() {
            return;
        }
        let (sender, receiver) = tokio::sync::watch::channel(record.clone());
        let requests = || {
            let items = record.purpose.items().iter();
            items.filter_map(|id| books.ledger.item(*id)).map(Item::request)
        };
        let spec = TransactionSpec {
            link: self.spec.link.clone(),
            from: self.spec.key.address(),
            record: receiver,
            contract: record.call.to,
            calls: self.calls_at(record.call.to),
            items: requests().map(Target::from).collect(),
            metrics: self.spec.shared.metrics.clone(),
            signer: self.name().clone(),
            rule_sets: requests().map(|request| request.rule_set.clone()).collect(),
            pauses: self.spec.shared.pauses.watch(),
            pace: Pace {
                rebroadcast_every_s: (self.spec.config.bump_after.as_secs() / 4).max(5),
                bump_after_s: self.spec.config.bump_after.as_secs(),
                give_up_after_s: self.spec.config.give_up_after.map(|after| after.as_secs()),
            },
            confirmations: self.spec.config.confirmations,
            poll: self.spec.poll,
            decoder: Arc::clone(&self.spec.decoder),
            sightings: Arc::clone(&self.sightings),
        };
        let child = ChildSpec::new(child_name(self.name(), nonce), ArbiterClass::Sign);
        let spawned = self.spec.tree.spawn_steps(child, StepLimits::default(), move || {
            TransactionActor::new(spec.clone(), own.clone())
        });
        match spawned {
            Ok(actor) => {
                self.records.insert(nonce, sender);
                self.actors.insert(nonce, actor);
            }
            Err(error) => {
                // Tried again with the next round: `man_nonces` finds it missing.
                tracing::warn!(signer = %self.name(), nonce, "{error}");
            }
        }
    }

    /// How the contract at an address is called; the signer's own has no items.
    fn calls_at(&self, address: Address) -> Arc<Calls> {
        let keeper = self.spec.keepers.values().find(|keeper| keeper.address == address);
        keeper.map_or_else(Arc::default, |keeper| Arc::clone(&keeper.calls))
    }

    /// Tells a transaction actor that there is no replacement for now.
    pub(super) fn refuse(&self, nonce: u64) {
        if let Some(actor) = self.actors.get(&nonce) {
            // An actor that misses it asks again.
            let _ = actor.try_send(crate::supervisor::Tell(NoReplacement));
        }
    }

    /// Ends the transaction actors of earlier books.
    pub(super) async fn retire_all(&mut self) {
        let prefix = child_name(self.name(), "");
        let names: Vec<String> = self
            .spec
            .tree
            .snapshot()
            .into_iter()
            .map(|child| child.name)
            .filter(|name| name.starts_with(&prefix))
            .collect();
        let tree = &self.spec.tree;
        // One may have finished by itself meanwhile.
        join_all(names.iter().map(|name| tree.remove(name, REMOVE_LIMIT))).await;
        // They were told of books that are gone.
        self.reports.clear();
        self.records = BTreeMap::new();
        self.actors = BTreeMap::new();
    }
}

fn child_name(signer: &Name, nonce: impl std::fmt::Display) -> String {
    format!("tx/{signer}/{nonce}")
}
