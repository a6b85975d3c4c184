//! How the books are opened: read, or begun anew, and compared with the stream.

use super::{
    super::{SignerActor, Trouble},
    ACK_WAIT, Books, ERA, FRESH, GAS, HEAR_MAX, RETAIN_NONCES, SERIAL, SPENDING,
};
use crate::{
    actors::{
        messages,
        outbox::{Outbox, owned_key},
    },
    domain::{TransactionMessage, UnlockState},
    signing::{gas::GasBook, ledger::Ledger, spending::Spending},
    store::{Table, Write},
    streams::{
        consume::{Cursor, Inbox, InboxSpec, Resumption, unread},
        fence::Fence,
        read::last_by_subject,
        subjects::{self, StreamId},
    },
};

impl SignerActor {
    /// Notes that these books may not know all that was signed before them.
    pub(in crate::actors::signer) async fn mark_fresh(&self) -> Result<(), Trouble> {
        let mark = Write::put(Table::Ledger, owned_key(&self.owner(), FRESH), b"1".to_vec());
        Ok(self.spec.shared.store.commit(vec![mark]).await?)
    }

    /// Notes that it was made up for.
    pub(in crate::actors::signer) async fn unmark_fresh(
        &self,
        books: &mut Books,
    ) -> Result<(), Trouble> {
        let mark = Write::delete(Table::Ledger, owned_key(&self.owner(), FRESH));
        self.spec.shared.store.commit(vec![mark]).await?;
        books.fresh = false;
        Ok(())
    }

    /// Takes the fences, reads the books, and gives every live nonce a fresh
    /// transaction actor: one that was told something by lost books could be
    /// ahead of them.
    pub(in crate::actors::signer) async fn open_books(&mut self) -> Result<Books, Trouble> {
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
            reads_ahead: false,
            resume_after,
            reads: unread,
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
}
