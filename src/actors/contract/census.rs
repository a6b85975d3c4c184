//! What a factory's events create, and what a created contract knows of it.
//!
//! The factory's actor keeps the census as it publishes; those who are created
//! read their blocks only so far as it reaches. After a restart it is that of
//! the stream: a creation stands if its block is the chain's.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use alloy::primitives::{Address, B256};
use serde_json::Value as Json;
use tokio::{sync::watch, time::Instant};

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
const BLOCKS_AT_ONCE: usize = 64;
/// How long one step compares.
const COMPARED_WITHIN: Duration = Duration::from_secs(10);

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

    /// The lowest final block below `next` of which a creation has become known
    /// only since it was read: the factory's events had a hole.
    fn missed(&self, next: u64, view: &ChainView) -> Option<u64> {
        let tip = self.known.tip?.number.min(view.finalized);
        let now = self.census.borrow().known();
        if Arc::ptr_eq(&now.children, &self.known.children) {
            return None;
        }
        let new = now.children.iter().filter(|(child, first)| {
            self.known.children.get(*child).is_none_or(|before| before > *first)
        });
        new.map(|(_, first)| *first).filter(|first| *first <= tip && *first < next).min()
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

    /// The block from which on this contract has to be read again, because its
    /// factory had lost a creation and has it now.
    pub(super) fn missed(&self, next: u64, view: &ChainView) -> Option<u64> {
        self.created.as_ref()?.missed(next, view)
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
    pub(super) async fn recover_censuses(&mut self, cursor: &Cursor) -> Result<(), Trouble> {
        for keeper in self.keepers.clone() {
            let creations = match cursor.tip() {
                Some(tip) => self.creations(&keeper, tip.number).await?,
                None => BTreeSet::new(),
            };
            self.compare(&creations).await?;
            let stands = |(number, hash, child): (u64, B256, Address)| {
                self.compared.get(&(number, hash)).is_some_and(|s| *s).then_some((number, child))
            };
            let standing: Vec<_> = creations.into_iter().filter_map(stands).collect();
            let tip = cursor.tip().copied();
            keeper.census.send_modify(|census| census.restored(standing, tip));
        }
        self.compared.clear();
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

    /// Compares the creations' blocks with the chain. What is known is kept
    /// when it takes longer than a step may: the next one goes on from there.
    async fn compare(&mut self, creations: &BTreeSet<(u64, B256, Address)>) -> Result<(), Trouble> {
        let client = self.link.client.clone();
        let open: BTreeSet<(u64, B256)> = creations
            .iter()
            .map(|(number, hash, _)| (*number, *hash))
            .filter(|block| !self.compared.contains_key(block))
            .collect();
        let numbers: BTreeSet<u64> = open.iter().map(|(number, _)| *number).collect();
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let (began, mut left) = (Instant::now(), numbers.len());
        for numbers in numbers.chunks(BLOCKS_AT_ONCE) {
            if began.elapsed() > COMPARED_WITHIN {
                return Err(Trouble::Census { left });
            }
            for header in client.headers(numbers).await? {
                let (number, mut hash) = (header.block.number, header.block.hash);
                if !open.contains(&(number, hash)) {
                    // One endpoint's word is not enough to drop a child.
                    hash = client.hash_of_most(number).await?;
                }
                let of_block = open.range((number, B256::ZERO)..=(number, B256::repeat_byte(0xff)));
                self.compared.extend(of_block.map(|block| (*block, block.1 == hash)));
            }
            left -= numbers.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::*;
    use crate::chain::headers::HeaderWindow;

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::ZERO, parent_hash: B256::ZERO, time: number }
    }

    fn child(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    fn view(finalized: u64) -> ChainView {
        ChainView {
            latest: block(200),
            safe: None,
            finalized,
            window: Arc::new(HeaderWindow::new(8)),
            older: BTreeMap::new(),
            frozen: None,
        }
    }

    #[test]
    fn a_creation_that_comes_late_takes_its_children_back_to_it() {
        let (census, _) = watch::channel(Census::default());
        let name = Name::new("daos").unwrap();
        let nobody = Watched::created(name, Confirmations::Blocks(1), vec![], &Arc::default());
        let mut created = Created::new(&nobody, &census);
        assert_eq!(created.reach(1, &view(100)).0, None, "the factory goes first");
        census.send_modify(|census| {
            census.created(5, child(1));
            census.complete(block(50));
        });
        let (reach, watched) = created.reach(1, &view(100));
        assert_eq!((reach, watched.unwrap().filter().addresses.len()), (Some(50), 1));

        // The stream had lost the one of block 20, and it is read again.
        census.send_modify(|census| {
            census.retracted(block(19));
            census.created(20, child(2));
            census.created(55, child(3));
            census.complete(block(60));
        });
        assert_eq!(created.missed(30, &view(100)), Some(20));
        assert_eq!(created.missed(20, &view(100)), None, "it is still to be read");
        assert_eq!(created.missed(30, &view(19)), None, "a reorg, which it retracts itself");
        assert_eq!(created.reach(31, &view(100)).0, Some(60));
        assert_eq!(created.missed(31, &view(100)), None, "it is taken in");
        census.send_modify(|census| {
            census.created(65, child(4));
            census.complete(block(70));
        });
        assert_eq!(created.missed(61, &view(100)), None, "what is new was not missed");
    }
}
