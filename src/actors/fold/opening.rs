//! How a fold's actor finds its place: what is saved beside the fold, when it
//! still holds, and how it is forgotten when it doesn't.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{ACK_WAIT, BATCH, FoldActor, Folding, Open, Trouble, comparing::withheld_key};
use crate::{
    actors::{
        hearing::Message,
        messages,
        outbox::{Outbox, owned_key},
    },
    domain::{Name, Rewind},
    fold::{Account, Area, Counts, Engine, SavedParts, Source},
    store::{StoreError, StoreHandle, Table, Write},
    streams::{
        connection::Connection,
        consume::{Cursor, Inbox, InboxSpec, Resumption},
        fence::Fence,
        read::{Stored, read_range},
        setup::{self, StreamIncarnation},
        subjects::{self, StreamId},
    },
    teeth::{Tooth, is_planted},
};

/// What is saved beside the fold's own parts: they are worth nothing without.
#[derive(Serialize, Deserialize)]
pub(in crate::actors) struct Standing {
    pub(in crate::actors) version: String,
    pub(super) cursor: Option<Cursor>,
    /// Of the stream that has what was said; older versions did not save it.
    #[serde(default)]
    pub(super) output: Option<StreamIncarnation>,
    /// What was read of each contract since its last watermark.
    #[serde(default)]
    pub(super) counts: Counts,
    /// Time of the newest applied block, seconds since the Unix epoch.
    #[serde(default)]
    pub(super) applied_time: u64,
    /// The newest applied block of each chain; older versions did not save it.
    #[serde(default)]
    pub(super) applied_through: BTreeMap<u64, u64>,
}

impl Standing {
    pub(super) fn write(&self, owner: &str) -> Write {
        // Plain strings and numbers: they serialise to memory.
        let value = serde_json::to_vec(self).unwrap_or_default();
        Write::put(Table::Positions, owner, value)
    }
}

/// Rows removed in one commit when a fold is rebuilt.
const FORGET_AT_ONCE: usize = 4000;

impl<F: Folding> FoldActor<F> {
    /// Reads the saved fold, or forgets it when it does not hold any more.
    pub(super) async fn open(&self) -> Result<Open<F::Fold>, Trouble> {
        let connection = &self.shared.connection;
        let reconnects = *connection.reconnects().borrow();
        let owner = self.owner();
        let stream = self.folding.stream();
        let live = self.changed(&owner).await?;
        // Before the fence: should the stream be made anew between the two,
        // the difference is seen at the next opening.
        let output = setup::incarnation(connection, stream).await?;
        let fence =
            Fence::acquire(connection, stream, &self.folding.writer(), &self.holder).await?;
        let named = self.folding.sources();
        let filters: Vec<String> = named
            .iter()
            .flat_map(|(chain, source)| {
                [
                    subjects::events_of(chain, &source.contract),
                    subjects::watermark(chain, &source.contract),
                    subjects::rewind(chain, &source.contract),
                ]
            })
            .collect();
        let rewinds = rewinds(connection, &named).await?;
        let sources: Vec<Source> = named.into_iter().map(|(_, source)| source).collect();
        let (mut engine, mut cursor, counts) = match self.restore(&owner, &sources, output).await? {
            Some(restored) => restored,
            None => {
                self.forget(&owner, false).await?;
                (Engine::new(self.folding.fold(), sources.clone()), None, Counts::new())
            }
        };
        let spec = |resume_after| InboxSpec {
            stream: StreamId::Events,
            durable: owner.clone(),
            filters: Vec::clone(&filters),
            max_batch: BATCH,
            ack_wait: ACK_WAIT,
            reads_ahead: true,
            resume_after,
            reads: Message::read,
        };
        let (mut inbox, resumed) = Inbox::open(connection, spec(cursor)).await?;
        match resumed {
            Resumption::FromStart | Resumption::Continued => {}
            Resumption::NewIncarnation | Resumption::TailLost { .. } | Resumption::TailReplaced => {
                // Its sequences mean other messages now: the fold starts again
                // with the stream.
                tracing::warn!(actor = owner, ?resumed, "the stream is another: rebuilding");
                self.forget(&owner, resumed != Resumption::NewIncarnation).await?;
                engine = Engine::new(self.folding.fold(), sources);
                cursor = None;
                (inbox, _) = Inbox::open(connection, spec(None)).await?;
            }
        }
        let words = self.last_words(&owner).await?;
        if self.mark(&owner).await?.is_none() && words != self.last_said().await? {
            // An older copy of the store, or of the stream.
            tracing::warn!(actor = owner, "the last word is another: comparing");
            self.forget_words(&owner).await?;
        }
        let outbox = Outbox::restore(&self.shared, &owner).await?;
        let (mark, making) = (self.mark(&owner).await?, self.making(&owner).await?);
        self.folding.reads(making.era(inbox.cursor_at(0).incarnation));
        self.folding.opened(&self.shared, &engine);
        tracing::info!(actor = owner, ?resumed, "fold opened");
        let account = match cursor {
            Some(_) => Account::resumed(rewinds, &counts),
            None => Account::new(rewinds),
        };
        let withholds = mark.is_some()
            && !is_planted(Tooth::KnownByTheWindow)
            && self.has_words(&owner).await?;
        Ok(Open {
            withholds,
            words,
            engine,
            account,
            inbox,
            outbox,
            fence,
            output,
            output_seen: Instant::now(),
            mark,
            making,
            taken_back: self.taken_back(&owner).await?,
            live,
            has_said: self.has_kept(&owner).await?,
            empty_fetches: 0,
            reconnects,
            pending: 0,
            undone_blocks: 0,
        })
    }

    /// The saved fold and up to where it has read; `None` when there is none,
    /// or one that does not hold any more.
    async fn restore(
        &self,
        owner: &str,
        sources: &[Source],
        output: StreamIncarnation,
    ) -> Result<Option<(Engine<F::Fold>, Option<Cursor>, Counts)>, Trouble> {
        let saved = self.shared.store.get(Table::Positions, owner.as_bytes()).await?;
        let Some(standing) = saved.and_then(|saved| serde_json::from_slice(&saved).ok()) else {
            return Ok(None);
        };
        let standing: Standing = standing;
        if standing.version != self.folding.version() {
            tracing::info!(actor = owner, "its definition changed: rebuilding from the stream");
            return Ok(None);
        }
        if standing.output.is_some_and(|saved| saved != output) {
            // What was said is gone with the stream that had it, and no outbox
            // remembers it.
            let stream = self.folding.stream();
            tracing::warn!(actor = owner, %stream, "was made anew: rebuilding, to say all again");
            self.forget_unsaid(owner).await?;
            return Ok(None);
        }
        let parts = self.saved_parts(owner).await?;
        match Engine::restore(self.folding.fold(), sources.to_vec(), parts) {
            Ok(engine) => Ok(Some((engine, standing.cursor, standing.counts))),
            Err(error) => {
                tracing::warn!(actor = owner, "rebuilding from the stream: {error}");
                Ok(None)
            }
        }
    }

    async fn saved_parts(&self, owner: &str) -> Result<SavedParts, StoreError> {
        let prefix = owned_key(owner, &[]);
        let mut parts = SavedParts::default();
        for (table, area) in AREAS {
            let rows = self.shared.store.scan_all(table, &area_key(owner, area, &[])).await?;
            let skip = prefix.len() + 1;
            let rows = rows
                .into_iter()
                .map(|(key, value)| (key.get(skip..).unwrap_or_default().to_vec(), value));
            match area {
                Area::State => parts.state = rows.collect(),
                Area::Inbox => parts.inbox = rows.collect(),
                Area::Journal => parts.journal = rows.collect(),
                Area::Meta => parts.meta = rows.collect(),
            }
        }
        Ok(parts)
    }

    /// Removes the fold, its standing first: without it whatever is left counts
    /// for nothing, however this ends. Rows of the outbox stay: they are true,
    /// and said again they have the same ids.
    pub(super) async fn forget(&self, owner: &str, tail_lost: bool) -> Result<(), StoreError> {
        let mut writes = self.remake(owner, tail_lost).await?;
        writes.push(Write::delete(Table::Positions, owner));
        self.shared.store.commit(writes).await?;
        for (table, area) in AREAS {
            self.remove(table, &area_key(owner, area, &[])).await?;
        }
        self.remove(Table::State, &withheld_key(owner, &[])).await
    }

    /// Removes what waits to be said: on a stream where nothing was said yet
    /// it would stand before its causes, and be taken for known after them.
    /// Before the fold is forgotten: until then the cause is seen again.
    async fn forget_unsaid(&self, owner: &str) -> Result<(), StoreError> {
        self.keep_taken_back(owner).await?;
        self.remove(Table::Outbox, &owned_key(owner, &[])).await
    }

    async fn remove(&self, table: Table, prefix: &[u8]) -> Result<(), StoreError> {
        let rows = self.shared.store.scan_all(table, prefix).await?;
        for rows in rows.chunks(FORGET_AT_ONCE) {
            let writes = rows.iter().map(|(key, _)| Write::delete(table, key.clone()));
            self.shared.store.commit(writes.collect()).await?;
        }
        Ok(())
    }
}

/// All rewinds of these contracts by their sequences: what they void must not
/// be taken in before they are met.
async fn rewinds(
    connection: &Connection,
    named: &[(Name, Source)],
) -> Result<Vec<(u64, Rewind)>, Trouble> {
    let filters: Vec<String> =
        named.iter().map(|(chain, source)| subjects::rewind(chain, &source.contract)).collect();
    let read = read_range(connection, StreamId::Events, &filters, 1, usize::MAX).await?;
    let rewind =
        |stored: &Stored| Ok((stored.sequence, messages::read::<Rewind>(&stored.payload)?));
    read.messages.iter().map(rewind).collect()
}

const AREAS: [(Table, Area); 4] = [
    (Table::State, Area::State),
    (Table::Inbox, Area::Inbox),
    (Table::Journal, Area::Journal),
    (Table::State, Area::Meta),
];

pub(super) fn table_of(area: Area) -> Table {
    match area {
        Area::State | Area::Meta => Table::State,
        Area::Inbox => Table::Inbox,
        Area::Journal => Table::Journal,
    }
}

/// What is saved beside the parts of somebody's fold, if this version reads it.
pub(in crate::actors) async fn standing(
    store: &StoreHandle,
    owner: &str,
) -> Result<Option<Standing>, StoreError> {
    let saved = store.get(Table::Positions, owner.as_bytes()).await?;
    Ok(saved.and_then(|saved| serde_json::from_slice(&saved).ok()))
}

/// Where a fold's state has a value.
pub(in crate::actors) fn state_key(owner: &str, key: &[u8]) -> Vec<u8> {
    area_key(owner, Area::State, key)
}

/// Where an actor keeps what it has said, whatever becomes of its fold. Beside the
/// areas of the fold in one table.
pub(super) fn kept_key(owner: &str, key: &[u8]) -> Vec<u8> {
    owned_key(owner, &[b"k", key].concat())
}

/// An owner's key within an area. State and Meta share a table and are told
/// apart by the byte after the owner.
pub(super) fn area_key(owner: &str, area: Area, key: &[u8]) -> Vec<u8> {
    let mark = match area {
        Area::State => b's',
        Area::Inbox => b'i',
        Area::Journal => b'j',
        Area::Meta => b'm',
    };
    owned_key(owner, &[&[mark], key].concat())
}
