//! What a fold that was made anew does about what was said before.
//!
//! A fold is made anew when the stream that it reads, or the one that has what it said,
//! is not the one that it was: what it says then is what the chain supports now. What
//! was said before and is not so would stay for ever, as nobody takes it back:
//! the block that did so may have been lost with the stream. So each making has a serial
//! number, and what is kept of an earlier one is compared ([`super::comparing`]) once this
//! one has come as far.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Folding, Keep, Open, Trouble,
    live::Live,
    opening::{Standing, kept_key, standing},
};
use crate::{
    actors::outbox::owned_key,
    fold::{Engine, Fold},
    store::{StoreError, Table, Write},
    streams::setup::StreamIncarnation,
};

/// What an earlier making said is to be looked at, once this one has come as far: by the
/// heights of blocks, and not by their times, as a block whose time was far ahead may have
/// been orphaned since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The block of each chain that it had come to.
    #[serde(default)]
    through: BTreeMap<u64, u64>,
    /// Time of a block, seconds since the Unix epoch: older versions had nothing else.
    #[serde(default, skip_serializing_if = "is_zero")]
    at: u64,
    /// What older versions said is taken back, too.
    #[serde(default = "older")]
    pub(super) older: bool,
}

/// Marks of older versions were made for nothing else.
fn older() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which making of a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Making {
    /// How often it was made anew.
    pub(super) serial: u64,
    /// How often the stream had lost its end: of one stream, the same sequences mean other
    /// messages then.
    tails: u64,
}

impl Making {
    /// What is kept, with the making that said it last.
    pub(super) fn sign(self, kept: &[u8]) -> Vec<u8> {
        [&self.serial.to_be_bytes(), kept].concat()
    }

    /// Apart again: the serial, and what was kept. What older programs kept is JSON, and
    /// of no making.
    pub(super) fn apart(signed: &[u8]) -> (u64, &[u8]) {
        match signed.split_first_chunk::<8>() {
            Some((serial, kept)) if signed.first() != Some(&b'{') => {
                (u64::from_be_bytes(*serial), kept)
            }
            _ => (0, signed),
        }
    }

    /// What tells the messages that it reads from others of the same sequences.
    pub(super) fn era(self, stream: StreamIncarnation) -> u64 {
        stream.unix_ms().saturating_add(self.tails)
    }

    fn read(saved: &[u8]) -> Option<Self> {
        let (serial, tails) = saved.split_first_chunk::<8>()?;
        let tails = tails.first_chunk::<8>().map_or(0, |tails| u64::from_be_bytes(*tails));
        Some(Self { serial: u64::from_be_bytes(*serial), tails })
    }

    fn write(self, owner: &str) -> Write {
        let saved = [self.serial.to_be_bytes(), self.tails.to_be_bytes()].concat();
        Write::put(Table::Positions, making_key(owner), saved)
    }
}

impl<F: Fold> Open<F> {
    /// Rows of what is to be kept. What is taken back is remembered until it was said:
    /// with the stream that should have had it the message may go, and then nobody knows.
    pub(super) fn keep(&mut self, owner: &str, kept: impl Iterator<Item = Keep>) -> Vec<Write> {
        let mut rows = Vec::new();
        if self.outbox.is_empty() {
            let said = self.taken_back.drain(..);
            rows.extend(said.map(|key| Write::delete(Table::State, taken_back_key(owner, &key))));
        }
        for Keep { key, said, holds } in kept {
            let (row, taken_back) = (kept_key(owner, &key), taken_back_key(owner, &key));
            if holds {
                self.has_said = true;
                rows.push(Write::put(Table::State, row, self.making.sign(&said)));
                rows.push(Write::delete(Table::State, taken_back));
            } else {
                rows.push(Write::delete(Table::State, row));
                rows.push(Write::put(Table::State, taken_back, said));
                self.taken_back.push(key);
            }
        }
        rows
    }
}

impl<F: Folding> super::FoldActor<F> {
    /// What was taken back and may wait to be said.
    pub(super) async fn taken_back(&self, owner: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let prefix = taken_back_key(owner, &[]);
        let rows = self.shared.store.scan_all(Table::State, &prefix).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(key, _)| Some(key.get(prefix.len()..)?.to_vec()))
            .collect())
    }

    /// What waits to be said is about to be forgotten: what was taken back counts as kept
    /// by nobody's making, so that it is taken back again.
    pub(super) async fn keep_taken_back(&self, owner: &str) -> Result<(), StoreError> {
        let prefix = taken_back_key(owner, &[]);
        let mut writes = Vec::new();
        for (row, said) in self.shared.store.scan_all(Table::State, &prefix).await? {
            let key = row.get(prefix.len()..).unwrap_or_default();
            let signed = Making::default().sign(&said);
            writes.push(Write::put(Table::State, kept_key(owner, key), signed));
            writes.push(Write::delete(Table::State, row));
        }
        if writes.is_empty() { Ok(()) } else { self.shared.store.commit(writes).await }
    }

    /// Which making of the fold this is.
    pub(super) async fn making(&self, owner: &str) -> Result<Making, StoreError> {
        let saved = self.shared.store.get(Table::Positions, &making_key(owner)).await?;
        Ok(saved.and_then(|saved| Making::read(&saved)).unwrap_or_default())
    }

    pub(super) async fn mark(&self, owner: &str) -> Result<Option<Mark>, StoreError> {
        let mark = self.shared.store.get(Table::Positions, &mark_key(owner)).await?;
        Ok(mark.and_then(|mark| serde_json::from_slice(&mark).ok()))
    }

    /// The fold is about to be made anew, because its stream lost its end or for another
    /// reason.
    pub(super) async fn remake(
        &self,
        owner: &str,
        tail_lost: bool,
    ) -> Result<Vec<Write>, StoreError> {
        let mark = self.mark(owner).await?.unwrap_or(Mark::NOW);
        let reached = standing(&self.shared.store, owner).await?;
        let mark = mark.joined(reached.map_or(Mark::NOW, |it| it.mark()));
        let Making { serial, tails } = self.making(owner).await?;
        let making = Making { serial: serial + 1, tails: tails + u64::from(tail_lost) };
        Ok(vec![mark.write(owner), making.write(owner)])
    }

    /// What older versions said is taken back as well, or is not.
    pub(super) async fn judge_older(&self, owner: &str, older: bool) -> Result<(), StoreError> {
        let mark = self.mark(owner).await?;
        let mark = match (mark, older) {
            (Some(mark), _) if mark.older == older => return Ok(()),
            (Some(mark), _) => Mark { older, ..mark },
            (None, false) => return Ok(()),
            (None, true) => {
                let reached = standing(&self.shared.store, owner).await?;
                Mark { older, ..reached.map_or(Mark::NOW, |it| it.mark()) }
            }
        };
        self.shared.store.commit(vec![mark.write(owner)]).await
    }

    /// Compares what was said before with what is so, once this making has read as much.
    pub(super) async fn recompute_if_due(
        &self,
        open: &mut Open<F::Fold>,
        pending: u64,
    ) -> Result<(), Trouble> {
        let due = open.mark.as_ref().filter(|mark| mark.is_reached(&open.engine));
        let Some(mark) = due.filter(|_| pending == 0).cloned() else { return Ok(()) };
        Box::pin(self.recompute(open, &mark)).await
    }

    async fn recompute(&self, open: &mut Open<F::Fold>, mark: &Mark) -> Result<(), Trouble> {
        let owner = self.owner();
        let compared = self.compare(open, mark).await?;
        let before = self.generation(&owner).await?;
        let mended = self.folding.mend(&self.shared, &open.engine, before).await?;
        let mut rows = Vec::new();
        if let Some(meaning) = self.folding.meaning().filter(|_| mended.generation > before) {
            rows.push(Live::new(meaning, mended.generation).write(&owner));
            open.live = None;
            self.folding.generation(mended.generation);
        }
        let said = compared + mended.outgoing.len();
        if said > 0 {
            tracing::info!(actor = owner, said, "made anew: said what is otherwise than before");
        }
        rows.push(Write::delete(Table::Positions, mark_key(&owner)));
        rows.extend(open.outbox.add(mended.outgoing));
        self.shared.store.commit(rows).await?;
        (open.mark, open.withholds) = (None, false);
        self.folding.opened(&self.shared, &open.engine);
        self.flush(open).await
    }
}

impl Mark {
    /// For a fold that is not made anew: to be looked at once it has read what there is.
    pub(super) const NOW: Self = Self { through: BTreeMap::new(), at: 0, older: false };

    /// Once both are reached.
    fn joined(mut self, other: Self) -> Self {
        for (chain_id, block) in other.through {
            let through = self.through.entry(chain_id).or_default();
            *through = block.max(*through);
        }
        Self { at: self.at.max(other.at), older: self.older || other.older, ..self }
    }

    /// Whether the fold has come as far; a chain that it does not read any more is left out.
    fn is_reached<F: Fold>(&self, engine: &Engine<F>) -> bool {
        let applied = engine.applied_through();
        let is_behind = |chain_id: &u64, block: &u64| {
            applied.get(chain_id).is_none_or(|applied| applied < block)
        };
        let chains = engine.chains();
        engine.applied_time() >= self.at
            && !self
                .through
                .iter()
                .any(|(chain_id, block)| chains.contains(chain_id) && is_behind(chain_id, block))
    }

    pub(super) fn write(&self, owner: &str) -> Write {
        // Numbers: they serialise to memory.
        let value = serde_json::to_vec(self).unwrap_or_default();
        Write::put(Table::Positions, mark_key(owner), value)
    }
}

impl Standing {
    /// As far as this.
    fn mark(&self) -> Mark {
        let at = if self.applied_through.is_empty() { self.applied_time } else { 0 };
        Mark { through: self.applied_through.clone(), at, older: false }
    }
}

/// Where what was taken back is, until it was said.
fn taken_back_key(owner: &str, key: &[u8]) -> Vec<u8> {
    owned_key(owner, &[b"t", key].concat())
}

fn mark_key(owner: &str) -> Vec<u8> {
    owned_key(owner, b"recompute")
}

fn making_key(owner: &str) -> Vec<u8> {
    owned_key(owner, b"making")
}
