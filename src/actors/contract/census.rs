//! What a factory's events create, and what a created contract knows of it.
//!
//! The factory's actor keeps the census as it publishes; those who are created
//! read their blocks only so far as it reaches. After a restart it is that of
//! the stream: a creation stands if its block is the chain's.

use std::{collections::BTreeSet, sync::Arc};

use alloy::primitives::{Address, B256};
use serde_json::Value as Json;
use tokio::sync::watch;

use super::{ContractActor, Trouble, ahead::Birth};
use crate::{
    actors::messages,
    chain::{
        census::{Census, Known},
        cursor::{ChainView, Confirmations, Cursor},
        feed::share::Watched,
    },
    domain::{BlockRef, Event, Name},
    streams::{
        read::read_range,
        subjects::{self, StreamId},
    },
};

/// Creations that are read back at once.
const CREATIONS_AT_ONCE: usize = 5_000;
/// Blocks that are compared with the chain at once.
const BLOCKS_AT_ONCE: usize = 256;

/// One census that a factory keeps.
#[derive(Clone)]
pub struct Keeper {
    /// The event that creates.
    pub event: Name,
    /// Its field with the address.
    pub field: String,
    /// The census, for all who are created so.
    pub census: Arc<watch::Sender<Census>>,
}

impl Keeper {
    /// The address that an event creates, if it does.
    fn child(&self, event: &Event) -> Option<Address> {
        if event.name != self.event {
            return None;
        }
        event.fields.get(&self.field).and_then(Json::as_str)?.parse().ok()
    }
}

/// Which addresses a created contract has.
#[derive(Clone)]
pub struct Created {
    name: Name,
    confirmations: Confirmations,
    topics0: Vec<B256>,
    census: watch::Receiver<Census>,
    /// What the present filter was made of.
    known: Known,
}

impl Created {
    /// Of this census; nothing is known yet.
    #[must_use]
    pub fn new(watched: &Watched, census: &watch::Sender<Census>) -> Self {
        Self {
            name: watched.name.clone(),
            confirmations: watched.confirmations,
            topics0: watched.filter().topics0.clone(),
            census: census.subscribe(),
            known: Known::default(),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.census.borrow().known().children.len()
    }

    /// Waits for the census to move.
    pub(super) async fn moved(&mut self) {
        // Its sender is the factory's, which lives as long as this.
        let _ = self.census.changed().await;
    }

    /// Up to which block children can be read, block `next` being the next.
    /// Gives the filter, too, where it is another than before. As long as it
    /// serves it is kept: what is read in advance is read for it.
    fn reach(&mut self, next: u64, view: &ChainView) -> (Option<u64>, Option<Watched>) {
        let now = self.census.borrow_and_update().known();
        let stale = now.retractions != self.known.retractions
            || self.known.reach(view).is_none_or(|reach| next > reach);
        if !stale {
            return (self.known.reach(view), None);
        }
        let same = now.children == self.known.children;
        self.known = now;
        let watched = (!same).then(|| {
            let (name, topics0) = (self.name.clone(), self.topics0.clone());
            Watched::created(name, self.confirmations, topics0, &self.known.children)
        });
        (self.known.reach(view), watched)
    }
}

impl ContractActor {
    /// The last block that may be read, block `next` being the next: none
    /// while the factory has to go first.
    pub(super) fn readable(&mut self, next: u64, view: &ChainView) -> Option<u64> {
        let Some(created) = &mut self.created else { return Some(u64::MAX) };
        let (reach, watched) = created.reach(next, view);
        if let Some(watched) = watched {
            self.watched = Arc::new(watched);
        }
        reach.filter(|reach| *reach >= next)
    }

    /// Contracts that an event creates.
    pub(super) fn births(&self, event: &Event) -> impl Iterator<Item = Birth> {
        let block = event.block.number;
        self.keepers.iter().enumerate().filter_map(move |(census, keeper)| {
            Some(Birth { census, block, child: keeper.child(event)? })
        })
    }

    /// The stream is complete up to `through`.
    pub(super) fn census_through(&self, births: &[Birth], through: BlockRef) {
        for (index, keeper) in self.keepers.iter().enumerate() {
            keeper.census.send_modify(|census| {
                for birth in births.iter().filter(|birth| birth.census == index) {
                    census.created(birth.block, birth.child);
                }
                census.complete(through);
            });
        }
    }

    /// What was said after `common` is void.
    pub(super) fn census_retracted(&self, common: BlockRef) {
        for keeper in &self.keepers {
            keeper.census.send_modify(|census| census.retracted(common));
        }
    }

    /// Reads the censuses back from the stream.
    pub(super) async fn recover_censuses(&self, cursor: &Cursor) -> Result<(), Trouble> {
        for keeper in &self.keepers {
            let creations = match cursor.tip() {
                Some(tip) => self.creations(keeper, tip.number).await?,
                None => BTreeSet::new(),
            };
            let standing = self.standing(creations).await?;
            let tip = cursor.tip().copied();
            keeper.census.send_modify(|census| census.restored(standing, tip));
        }
        Ok(())
    }

    /// All creations that were ever said of blocks up to `tip`.
    async fn creations(
        &self,
        keeper: &Keeper,
        tip: u64,
    ) -> Result<BTreeSet<(u64, B256, Address)>, Trouble> {
        let filters = [subjects::event(&self.link.name, &self.name, &keeper.event)];
        let (mut creations, mut from) = (BTreeSet::new(), 1);
        loop {
            let connection = &self.shared.connection;
            let read =
                read_range(connection, StreamId::Events, &filters, from, CREATIONS_AT_ONCE).await?;
            for stored in &read.messages {
                // What is no event created nothing.
                let Ok(event) = messages::read::<Event>(&stored.payload) else { continue };
                if let Some(child) = keeper.child(&event)
                    && event.block.number <= tip
                {
                    creations.insert((event.block.number, event.block.hash, child));
                }
            }
            match read.messages.last() {
                Some(last) if !read.caught_up => from = last.sequence + 1,
                _ => return Ok(creations),
            }
        }
    }

    /// Those whose blocks are the chain's.
    async fn standing(
        &self,
        creations: BTreeSet<(u64, B256, Address)>,
    ) -> Result<Vec<(u64, Address)>, Trouble> {
        let client = &self.link.client;
        let blocks: BTreeSet<(u64, B256)> =
            creations.iter().map(|(number, hash, _)| (*number, *hash)).collect();
        let mut orphaned = BTreeSet::new();
        let numbers: BTreeSet<u64> = blocks.iter().map(|(number, _)| *number).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        for numbers in numbers.chunks(BLOCKS_AT_ONCE) {
            for header in client.headers(numbers).await? {
                let number = header.block.number;
                let mut hash = header.block.hash;
                let said = |hash: B256| blocks.contains(&(number, hash));
                if !said(hash) {
                    // One endpoint's word is not enough to drop a child.
                    hash = client.hash_of_most(number).await?;
                }
                let others = blocks.range((number, B256::ZERO)..=(number, B256::repeat_byte(0xff)));
                orphaned.extend(others.filter(|(_, other)| *other != hash).copied());
            }
        }
        let stands =
            |(number, hash, _): &(u64, B256, Address)| !orphaned.contains(&(*number, *hash));
        Ok(creations.into_iter().filter(stands).map(|(number, _, child)| (number, child)).collect())
    }
}
