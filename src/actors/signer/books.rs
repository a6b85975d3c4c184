//! The signer's books: the ledger, what it spends, its inbox and outbox, and
//! how they are read and committed together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use futures::future::join_all;

use super::{SignerActor, Trouble, unix_ms};
use crate::{
    actors::{
        messages,
        outbox::{Outbox, owned_key},
        transaction::{NoReplacement, TransactionActor, TransactionSpec},
    },
    domain::{Name, TransactionMessage, TransactionState, UnlockId, UnlockMessage, UnlockState},
    failpoints::Failpoint,
    signing::{
        calls::{Calls, Target},
        gas::GasBook,
        item::{Item, MessageOrder},
        ledger::{Changes, Ledger, NonceRecord, Purpose},
        lifecycle::Pace,
        spending::Spending,
    },
    store::{Table, Write},
    streams::{
        consume::{Cursor, Delivered, Inbox, InboxSpec, Resumption},
        fence::Fence,
        read::last_by_subject,
        subjects::{self, StreamId},
    },
    supervisor::{ArbiterClass, ChildSpec, StepLimits},
    teeth::{Tooth, is_planted},
};

/// Everything that one commit keeps in agreement.
pub(super) struct Books {
    pub ledger: Ledger,
    pub spending: Spending,
    /// What receipts taught.
    pub gas: GasBook,
    /// How many messages about transactions were written down to be said.
    serial: u64,
    /// Which unlocks stream is read, see [`MessageOrder`].
    era: u64,
    pub outbox: Outbox,
    pub inbox: Inbox,
    pub fences: Vec<(StreamId, Fence)>,
    /// How far the unlocks stream was read.
    pub position: Option<Cursor>,
    /// The stream's present end was reached since these books were opened:
    /// before that, history passes through wishes that no longer hold.
    pub caught_up: bool,
    /// The transactions stream was asked for nonces that the ledger lacks.
    pub retold: bool,
    pub reconnects: u64,
    /// The last fetch brought nothing.
    was_empty: bool,
    /// The store had no books at all: nothing is sent before all that this
    /// key ever sent is final.
    pub fresh: bool,
}

/// Finished nonces that are remembered for deep reorgs.
const RETAIN_NONCES: usize = 256;
/// Messages taken in one round.
const HEAR_MAX: usize = 200;
/// How long a round waits for messages.
pub(super) const HEAR_WAIT: Duration = Duration::from_millis(100);
/// How long a finished transaction actor may take to go.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);
/// Longer than a round may take.
const ACK_WAIT: Duration = Duration::from_secs(120);
const SPENDING: &[u8] = b"spending";
const GAS: &[u8] = b"gas";
const SERIAL: &[u8] = b"serial";
const ERA: &[u8] = b"era";
/// That these books may not know all that was signed before them.
const FRESH: &[u8] = b"fresh";

impl SignerActor {
    /// Notes that these books may not know all that was signed before them.
    pub(super) async fn mark_fresh(&self) -> Result<(), Trouble> {
        let mark = Write::put(Table::Ledger, owned_key(&self.owner(), FRESH), b"1".to_vec());
        Ok(self.spec.shared.store.commit(vec![mark]).await?)
    }

    /// Notes that it was made up for.
    pub(super) async fn unmark_fresh(&self, books: &mut Books) -> Result<(), Trouble> {
        let mark = Write::delete(Table::Ledger, owned_key(&self.owner(), FRESH));
        self.spec.shared.store.commit(vec![mark]).await?;
        books.fresh = false;
        Ok(())
    }

    /// Takes the fences, reads the books, and gives every live nonce a fresh
    /// transaction actor: one that was told something by lost books could be
    /// ahead of them.
    pub(super) async fn open_books(&mut self) -> Result<Books, Trouble> {
        let shared = self.spec.shared.clone();
        let connection = &shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let writer = self.writer();
        let mut fences = Vec::new();
        for stream in [StreamId::Unlocks, StreamId::Transactions] {
            fences.push((stream, Fence::acquire(connection, stream, &writer, &self.holder).await?));
        }
        let owner = self.owner();
        let prefix = owned_key(&owner, &[]);
        let rows = shared.store.scan_all(Table::Ledger, &prefix).await?;
        let mut spending = Spending::default();
        let mut gas = GasBook::default();
        let (mut is_marked, mut serial, mut era) = (false, 0, None);
        let mut records = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            let key = key.get(prefix.len()..).unwrap_or_default().to_vec();
            if key == SPENDING {
                spending = serde_json::from_slice(&value).unwrap_or_default();
            } else if key == FRESH {
                is_marked = true;
            } else if key == SERIAL {
                serial = serde_json::from_slice(&value).unwrap_or_default();
            } else if key == ERA {
                era = serde_json::from_slice(&value).ok();
            } else if key == GAS {
                gas = serde_json::from_slice(&value).unwrap_or_default();
            } else {
                records.push((key, value));
            }
        }
        // Until it is made up for, whatever is written and however often it begins.
        let said = self.told(serial).await?;
        let fresh = is_marked || records.is_empty() || said > serial;
        serial = serial.max(said);
        if fresh && !is_marked {
            self.mark_fresh().await?;
        }
        let mut ledger = Ledger::restore(self.spec.key.address(), RETAIN_NONCES, records)?;
        for id in ledger.take_seen() {
            self.audits.landed(id);
        }
        let outbox = Outbox::restore(&shared, &owner).await?;
        let saved = shared.store.get(Table::Positions, owner.as_bytes()).await?;
        let position: Option<Cursor> =
            saved.and_then(|bytes| serde_json::from_slice(&bytes).ok()).flatten();
        let spec = |resume_after| InboxSpec {
            stream: StreamId::Unlocks,
            durable: owner.clone(),
            filters: vec![
                subjects::unlocks_in(UnlockState::Requested),
                subjects::unlocks_in(UnlockState::Retracted),
            ],
            max_batch: HEAR_MAX,
            ack_wait: ACK_WAIT,
            resume_after,
        };
        let (mut inbox, resumed) = Inbox::open(connection, spec(position)).await?;
        if matches!(resumed, Resumption::TailLost { .. }) {
            // Where the end was, something else may stand by now: what is heard again changes
            // nothing, and what is not heard is never heard of.
            (inbox, _) = Inbox::open(connection, spec(None)).await?;
        }
        let created = inbox.cursor_at(0).incarnation.unix_ms();
        let era = match (era, resumed) {
            (None, _) => created,
            (Some(era), Resumption::Continued) => era,
            // Whatever it says from now on comes after what any other said.
            (Some(era), _) => created.max(era + 1),
        };
        let books = Books {
            ledger,
            spending,
            gas,
            serial,
            era,
            outbox,
            inbox,
            fences,
            position,
            caught_up: false,
            retold: false,
            reconnects,
            was_empty: false,
            fresh,
        };
        self.retire_all().await;
        self.reconcile = true;
        tracing::info!(
            signer = %self.name(),
            next_nonce = books.ledger.next_nonce(),
            in_flight = books.ledger.live_nonces().count(),
            ?resumed,
            "books opened"
        );
        Ok(books)
    }

    /// How much the stream has of this signer: more than books that are an older copy have
    /// said. Books that begin anew count on from there, or an older copy that comes back
    /// later would seem to be newer than they.
    async fn told(&self, serial: u64) -> Result<u64, Trouble> {
        let connection = &self.spec.shared.connection;
        let filter = subjects::transactions_of(self.name());
        let last = last_by_subject(connection, StreamId::Transactions, &filter).await?;
        // What can't be read is none of ours.
        let last = last.and_then(|last| messages::read::<TransactionMessage>(&last.payload).ok());
        let said = last.and_then(|message| message.serial).unwrap_or(0);
        if said > serial {
            tracing::warn!(
                signer = %self.name(), said, serial,
                "the books are an older copy: the chain is asked about everything"
            );
        }
        Ok(said)
    }

    /// Takes in what rule sets want and take back. Returns whether there was
    /// anything. Waits for it a little, unless there is something else to do.
    pub(super) async fn hear(&mut self, books: &mut Books) -> Result<bool, Trouble> {
        let busy = books.caught_up && (self.busy || !self.reports.is_empty());
        let wait = if busy { Duration::ZERO } else { HEAR_WAIT };
        let deliveries = books.inbox.fetch(HEAR_MAX, wait).await?;
        if deliveries.is_empty() {
            // A fetch may come back empty early, as after a hole: once is no proof,
            // and what did not wait is none at all.
            if !busy {
                books.caught_up = std::mem::replace(&mut books.was_empty, true);
            }
            return Ok(false);
        }
        Box::pin(self.take_in(books, deliveries)).await?;
        Ok(true)
    }

    async fn take_in(
        &mut self,
        books: &mut Books,
        deliveries: Vec<Delivered>,
    ) -> Result<(), Trouble> {
        let Some(last) = deliveries.last() else { return Ok(()) };
        let (through, pending) = (last.sequence, last.pending);
        let cursor = books.inbox.cursor_at(through);
        let created = cursor.incarnation.unix_ms();
        let mut all = Changes::default();
        for delivery in &deliveries {
            let message: UnlockMessage = match messages::read(&delivery.payload) {
                Ok(message) => message,
                Err(error) => {
                    let id = format!("unlock-{}-{}", created, delivery.sequence);
                    let origin = serde_json::json!({ "sequence": delivery.sequence });
                    self.spec.shared.bury(&self.writer(), &id, &error.to_string(), origin).await?;
                    continue;
                }
            };
            if message.request.signer != *self.name() {
                continue;
            }
            let order =
                MessageOrder { stream_created_unix_ms: books.era, sequence: delivery.sequence };
            let id = message.request.id;
            self.recall(books, id, &all).await?;
            let changes = match message.state {
                UnlockState::Requested => {
                    let policy = message.request.on_retract;
                    books.ledger.request(message.request, policy, order, unix_ms())?
                }
                UnlockState::Retracted => {
                    books.ledger.retract(id, &message.request.rule_set, order, unix_ms())?
                }
                _ => continue,
            };
            all.then(changes);
            if message.state == UnlockState::Retracted {
                self.look_for_retracted(books, id, &mut all).await?;
            }
        }
        books.position = Some(cursor);
        self.commit(books, all, Vec::new()).await?;
        Failpoint::BeforeAck.hit();
        books.inbox.ack_through(through).await?;
        Failpoint::AfterAck.hit();
        books.was_empty = false;
        books.caught_up = pending == 0;
        Ok(())
    }

    /// What was taken back before it landed, as far as these books know: the chain has the
    /// last word, as they may be a copy that misses what was sent.
    async fn look_for_retracted(
        &self,
        books: &mut Books,
        id: UnlockId,
        all: &mut Changes,
    ) -> Result<(), Trouble> {
        self.recall(books, id, all).await?;
        if books.ledger.item(id).is_some() {
            let can_ask = self.keeper(books, id).is_some_and(|keeper| keeper.calls.can_ask());
            all.then(books.ledger.recheck_if_absent(id, can_ask)?);
        }
        Ok(())
    }

    /// Commits changes of the ledger with the messages they cause.
    pub(super) async fn commit(
        &mut self,
        books: &mut Books,
        changes: Changes,
        transactions: Vec<TransactionMessage>,
    ) -> Result<(), Trouble> {
        let owner = self.owner();
        let metrics = self.spec.shared.metrics.clone();
        let mut outgoing = Vec::new();
        for mut message in transactions {
            books.serial += 1;
            message.serial = Some(books.serial);
            metrics
                .transactions_total
                .with_label_values(&[self.name().as_str(), message.state.as_str()])
                .inc();
            let mark = self.mark();
            outgoing.push(messages::transaction(&message, &mark)?);
        }
        for message in &changes.messages {
            let set = message.request.rule_set.as_str();
            metrics.unlocks_total.with_label_values(&[set, message.state.as_str()]).inc();
            let mark = self.mark();
            outgoing.push(messages::unlock(message, &mark)?);
            if message.state == UnlockState::Unlocked {
                self.audits.landed(message.request.id);
            }
            if message.state == UnlockState::Rejected {
                metrics.dead_letters_total.with_label_values(&[owner.as_str()]).inc();
                outgoing.push(messages::rejected(&self.writer(), message, &mark)?);
            }
        }
        outgoing.append(&mut self.notices);
        for request in &changes.alerts {
            let mark = self.mark();
            outgoing.push(messages::orphaned_but_kept(self.name(), request, &mark)?);
        }
        let mut writes: Vec<Write> = changes
            .writes
            .into_iter()
            .map(|write| Write {
                table: Table::Ledger,
                key: owned_key(&owner, &write.key),
                value: write.value,
            })
            .collect();
        let kept = [
            (SPENDING, serde_json::to_vec(&books.spending).ok()),
            (GAS, serde_json::to_vec(&books.gas).ok()),
            (SERIAL, serde_json::to_vec(&books.serial).ok()),
            (ERA, serde_json::to_vec(&books.era).ok()),
        ];
        writes.extend(kept.map(|(key, value)| Write {
            table: Table::Ledger,
            key: owned_key(&owner, key),
            value,
        }));
        let position = serde_json::to_vec(&books.position).unwrap_or_default();
        let position = Write::put(Table::Positions, owner, position);
        if is_planted(Tooth::AcknowledgedBeforeCommit) {
            self.spec.shared.store.commit(vec![position.clone()]).await?;
            tokio::time::sleep(HEAR_WAIT).await;
        }
        writes.push(position);
        writes.extend(books.outbox.add(outgoing));
        Failpoint::BeforeCommit.hit();
        self.spec.shared.store.commit(writes).await?;
        Failpoint::AfterCommit.hit();
        Ok(())
    }

    /// Publishes what was committed.
    pub(super) async fn say(&self, books: &mut Books) -> Result<(), Trouble> {
        if !books.outbox.is_empty() {
            Failpoint::BeforePublish.hit();
            Box::pin(books.outbox.flush(&self.spec.shared, &books.fences)).await?;
            Failpoint::AfterPublish.hit();
        }
        Ok(())
    }

    /// A message about a nonce.
    pub(super) fn transaction(
        &self,
        record: &NonceRecord,
        state: TransactionState,
        hash: Option<alloy::primitives::B256>,
    ) -> TransactionMessage {
        let purpose = match record.purpose {
            Purpose::Unlock { .. } => "unlock",
            Purpose::Revoke { .. } => "revoke",
            Purpose::FillGap => "fill_gap",
        };
        TransactionMessage {
            state,
            signer: self.name().clone(),
            from: self.spec.key.address(),
            chain_id: self.spec.link.chain_id,
            nonce: record.nonce,
            hash: hash.or_else(|| record.newest().map(|attempt| attempt.hash)),
            purpose: purpose.into(),
            unlocks: record.purpose.items().to_vec(),
            raw: None,
            serial: None,
            block: None,
            gas_used: None,
            fee_wei: None,
            code: None,
            reason: None,
        }
    }

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
    async fn retire_all(&mut self) {
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
