//! The signer's books: the ledger, what it spends, its inbox and outbox, and
//! how they are read and committed together.

mod opening;

use std::time::Duration;

use super::{SignerActor, Trouble, unix_ms};
use crate::{
    actors::{
        messages,
        outbox::{Outbox, owned_key},
    },
    domain::{TransactionMessage, TransactionState, UnlockId, UnlockMessage, UnlockState},
    failpoints::Failpoint,
    signing::{
        gas::GasBook,
        item::MessageOrder,
        ledger::{Changes, Ledger, NonceRecord, Purpose},
        spending::Spending,
    },
    store::{Table, Write},
    streams::{
        consume::{Cursor, Delivered, Inbox},
        fence::Fence,
        subjects::StreamId,
    },
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
/// Longer than a round may take.
const ACK_WAIT: Duration = Duration::from_secs(120);
const SPENDING: &[u8] = b"spending";
const GAS: &[u8] = b"gas";
const SERIAL: &[u8] = b"serial";
const ERA: &[u8] = b"era";
/// That these books may not know all that was signed before them.
const FRESH: &[u8] = b"fresh";

impl SignerActor {
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
}
