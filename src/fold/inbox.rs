//! Events that wait for other sources, or could still be undone, by the blocks
//! that they are in.
//!
//! Events come block by block and go block by block: so what is ordered are
//! blocks, each with a short ordered list. Which contract told of which hash is
//! kept once a block, not once an event.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Area, Unreadable, Write, effects::key};
use crate::domain::{BlockRef, Event, EventId, Name, Origin, Position};

/// A block in position order: its time, chain and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BlockKey {
    pub(super) time: u64,
    pub(super) chain_id: u64,
    pub(super) number: u64,
}

impl BlockKey {
    /// The block that a position is in.
    pub(super) fn of(position: &Position) -> Self {
        let Position { time, chain_id, block, .. } = *position;
        Self { time, chain_id, number: block }
    }

    pub(super) fn end(self) -> Position {
        Position::end_of_block(self.chain_id, self.number, self.time)
    }
}

/// By what an event's row is found.
type Row = (Position, EventId);

/// A row and its event; `None` of what is needed no more.
pub(super) type Changed = (Row, Option<Arc<Event>>);

/// Events by block, and what of them the store has to learn.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    blocks: BTreeMap<BlockKey, Block>,
    len: usize,
    /// Blocks with events that are not written down.
    unwritten: BTreeSet<BlockKey>,
    /// Events that were taken in since the last [`Self::take_changed`]: at least as many as are
    /// not written down.
    unsaved: usize,
    /// Rows of events that are needed no more. An event that came again since has its row
    /// written in the same commit, after this removal.
    gone: Vec<Row>,
    /// Events that are needed no more, to be dropped where that keeps nobody waiting.
    spent: Vec<Spent>,
}

/// Events of a block that are needed no more.
#[derive(Debug)]
pub(super) struct Spent(#[expect(dead_code, reason = "it is only dropped")] Vec<Held>);

#[derive(Debug, Default)]
struct Block {
    /// In position order.
    events: Vec<Held>,
    told: SmallVec<[Told; 2]>,
}

#[derive(Debug)]
struct Held {
    transaction_index: u64,
    log_index: u64,
    /// The store has it.
    is_written: bool,
    /// Shared with whoever writes it down.
    event: Arc<Event>,
}

/// An [`Event`] as it is written down, behind [`Packed::MARK`]: numbers and bytes, and
/// its fields as JSON.
#[derive(Serialize, Deserialize)]
struct Packed<'e> {
    id: EventId,
    origin: Origin,
    chain: Cow<'e, Name>,
    contract: Cow<'e, Name>,
    address: Address,
    name: Cow<'e, Name>,
    position: Position,
    block: BlockRef,
    fields: Cow<'e, str>,
}

impl Packed<'_> {
    /// No JSON begins with it.
    const MARK: u8 = 1;
    const USUAL_BYTES: usize = 640;
}

/// An event as it is written down.
pub(super) fn written(event: &Event) -> Vec<u8> {
    let Event { id, origin, address, position, block, .. } = *event;
    let Event { chain, contract, name, fields, .. } = event;
    // Plain data: serialising it to memory can't fail. Were it to, restoring would name
    // the key.
    let fields = serde_json::to_string(fields).unwrap_or_default().into();
    let [chain, contract, name] = [chain, contract, name].map(Cow::Borrowed);
    let row = Packed { id, origin, chain, contract, address, name, position, block, fields };
    let mut bytes = Vec::with_capacity(Packed::USUAL_BYTES);
    bytes.push(Packed::MARK);
    postcard::to_extend(&row, bytes).unwrap_or_default()
}

/// Reads an event as it was written down. Older versions wrote it as messages have it.
pub(super) fn read(bytes: &[u8]) -> Result<Event, Unreadable> {
    let Some((&Packed::MARK, bytes)) = bytes.split_first() else {
        return Ok(serde_json::from_slice(bytes)?);
    };
    let row: Packed<'_> = postcard::from_bytes(bytes)?;
    let Packed { id, origin, address, position, block, .. } = row;
    let [chain, contract, name] = [row.chain, row.contract, row.name].map(Cow::into_owned);
    let fields = serde_json::from_str(&row.fields)?;
    Ok(Event { id, origin, chain, contract, address, name, position, block, fields })
}

/// Events of one contract, of one block.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) contract: Name,
    pub(super) hash: B256,
    pub(super) events: usize,
}

impl Held {
    fn place(&self) -> (u64, u64, EventId) {
        (self.transaction_index, self.log_index, self.event.id)
    }

    fn row(&self, block: &BlockKey) -> Row {
        let Self { transaction_index, log_index, ref event, .. } = *self;
        (Position { transaction_index, log_index, ..block.end() }, event.id)
    }
}

impl Inbox {
    /// Events that are held.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes an event in, at a place in its block, unless it is there already.
    /// `Some` if it was not, with whether its contract tells of this block's hash
    /// for the first time.
    pub(super) fn insert(&mut self, at: &Position, event: Event, is_written: bool) -> Option<bool> {
        let Position { transaction_index, log_index, .. } = *at;
        let key = BlockKey::of(at);
        let block = self.blocks.entry(key).or_default();
        let place = (transaction_index, log_index, event.id);
        // As a rule it is the last one.
        let index = match block.events.last() {
            Some(last) if last.place() >= place => {
                block.events.binary_search_by_key(&place, Held::place).err()?
            }
            _ => block.events.len(),
        };
        let told =
            |told: &&mut Told| told.hash == event.block.hash && told.contract == event.contract;
        let is_first = match block.told.iter_mut().find(told) {
            Some(told) => {
                told.events += 1;
                false
            }
            None => {
                let (contract, hash) = (event.contract.clone(), event.block.hash);
                block.told.push(Told { contract, hash, events: 1 });
                true
            }
        };
        let event = Arc::new(event);
        block.events.insert(index, Held { transaction_index, log_index, is_written, event });
        self.len += 1;
        if !is_written {
            self.unsaved += 1;
            self.unwritten.insert(key);
        }
        Some(is_first)
    }

    /// Who tells what of a block.
    pub(super) fn told(&self, block: &BlockKey) -> &[Told] {
        self.blocks.get(block).map_or(&[], |block| &block.told)
    }

    /// Forgets a contract's events of a block with a hash.
    pub(super) fn forget(&mut self, key: &BlockKey, contract: &Name, hash: B256) {
        let Some(block) = self.blocks.get_mut(key) else { return };
        block.told.retain(|told| told.hash != hash || told.contract != *contract);
        let is_void =
            |held: &mut Held| held.event.block.hash == hash && held.event.contract == *contract;
        for held in block.events.extract_if(.., is_void) {
            self.len -= 1;
            if held.is_written {
                self.gone.push(held.row(key));
            }
        }
        if block.events.is_empty() {
            self.blocks.remove(key);
        }
    }

    /// Forgets the first block if it is not after `through`. Gives who told of it.
    pub(super) fn pop_through(
        &mut self,
        through: &BlockKey,
    ) -> Option<(BlockKey, SmallVec<[Told; 2]>)> {
        let first = self.blocks.first_entry().filter(|block| block.key() <= through)?;
        let (key, block) = first.remove_entry();
        self.len -= block.events.len();
        self.unwritten.remove(&key);
        let written = block.events.iter().filter(|held| held.is_written);
        self.gone.extend(written.map(|held| held.row(&key)));
        self.spent.push(Spent(block.events));
        Some((key, block.told))
    }

    /// The first block after another.
    pub(super) fn next_after(&self, block: Option<BlockKey>) -> Option<BlockKey> {
        self.blocks.range(after(block)).next().map(|(key, _)| *key)
    }

    /// The events of a block, in position order.
    pub(super) fn events(&self, block: BlockKey) -> impl Iterator<Item = &Event> {
        let events = self.blocks.get(&block).map_or(&[][..], |block| &block.events);
        events.iter().map(|held| &*held.event)
    }

    /// Who tells what of the blocks after another.
    pub(super) fn told_after(&self, block: Option<BlockKey>) -> impl Iterator<Item = &Told> {
        self.blocks.range(after(block)).flat_map(|(_, block)| &block.told)
    }

    /// The events that were popped since the last call.
    pub(super) fn take_spent(&mut self) -> Vec<Spent> {
        std::mem::take(&mut self.spent)
    }

    /// What the store has to learn since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<Changed> {
        // What is gone may have come again: removals stand before rows.
        let gone = std::mem::take(&mut self.gone);
        let mut changed = Vec::with_capacity(gone.len() + self.unsaved);
        self.unsaved = 0;
        changed.extend(gone.into_iter().map(|row| (row, None)));
        for key in std::mem::take(&mut self.unwritten) {
            let events = self.blocks.get_mut(&key).into_iter().flat_map(|block| &mut block.events);
            for held in events.filter(|held| !held.is_written) {
                held.is_written = true;
                changed.push((held.row(&key), Some(Arc::clone(&held.event))));
            }
        }
        changed
    }
}

fn after(block: Option<BlockKey>) -> (Bound<BlockKey>, Bound<BlockKey>) {
    (block.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// A change as it is written down.
pub(super) fn write(((position, id), event): Changed) -> Write {
    let value = event.as_deref().map(written);
    Write { area: Area::Inbox, key: key::inbox(&position, id), value }
}
