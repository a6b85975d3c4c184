//! What a fold that was made anew says: the difference.
//!
//! Saying everything again, step by step as history has it, would be wrong in two ways.
//! The broker drops what it has seen within its window and stores what is older, so that
//! of a request and its retraction one may be stored and the other not; and a signer that
//! hears history acts on wishes that no longer hold. So nothing is said of what is kept until
//! the fold has come as far as the one before it. Then the last words that are on the
//! stream, which is what others have heard, are held against what is so: what differs is
//! said, as messages of their own.
//!
//! The same is done when the last word on the stream is not the last that the store
//! knows of: then one of the two is an older copy of itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy::primitives::{B256, keccak256};

use super::{
    FoldActor, Folding, Keep, Open, Trouble,
    opening::kept_key,
    remaking::{Making, Mark},
};
use crate::{
    actors::{
        messages,
        outbox::{Outgoing, owned_key},
    },
    fold::Emission,
    store::{StoreError, Table, Write},
    streams::{
        StreamError,
        read::{Stored, for_each, last_by_subject},
        subjects::{StreamId, matches},
    },
};

/// What one commit decides about.
const PAGE: usize = 1_000;

/// The ids of the last words, by the names of their streams.
pub(super) type LastWords = BTreeMap<String, String>;

/// The last word about something, as the stream has it.
struct Told {
    holds: bool,
    /// Of what was said.
    hash: B256,
    /// It was decided about.
    done: bool,
}

/// What one commit says.
#[derive(Default)]
struct Said {
    outgoing: Vec<Outgoing>,
    keeps: Vec<Keep>,
    words: Vec<Vec<u8>>,
    rows: Vec<Write>,
}

type Emissions<F> = Vec<Emission<<<F as Folding>::Fold as crate::fold::Fold>::Output>>;

impl<F: Folding> FoldActor<F> {
    /// Whether anything was said that a fold made anew is to be compared with.
    pub(super) async fn has_words(&self, owner: &str) -> Result<bool, Trouble> {
        if self.has_kept(owner).await? {
            return Ok(true);
        }
        for (stream, filters) in self.folding.words() {
            for filter in filters {
                let last = last_by_subject(&self.shared.connection, stream, &filter).await?;
                if last.is_some() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The last words that the store knows of.
    pub(super) async fn last_words(&self, owner: &str) -> Result<LastWords, StoreError> {
        let saved = self.shared.store.get(Table::Positions, &words_key(owner)).await?;
        Ok(saved.and_then(|saved| serde_json::from_slice(&saved).ok()).unwrap_or_default())
    }

    /// The last words on the streams that have some.
    pub(super) async fn last_said(&self) -> Result<LastWords, StreamError> {
        let mut said = LastWords::new();
        for (stream, filters) in self.folding.words() {
            let mut last: Option<Stored> = None;
            for filter in filters {
                let word = last_by_subject(&self.shared.connection, stream, &filter).await?;
                last = last.into_iter().chain(word).max_by_key(|word| word.sequence);
            }
            let id = last.and_then(|last| messages::id(&last.payload));
            said.extend(id.map(|id| (stream.name().to_owned(), id)));
        }
        Ok(said)
    }

    /// Remembers the last of what is about to be said.
    pub(super) fn note_words(
        &self,
        open: &mut Open<F::Fold>,
        outgoing: &[Outgoing],
    ) -> Option<Write> {
        let words = self.folding.words();
        let mut noted = false;
        for message in outgoing {
            let Outgoing::Publish { stream, id, subject, .. } = message else { continue };
            let of = words.iter().find(|(of, _)| of == stream);
            if of.is_some_and(|(_, filters)| filters.iter().any(|it| matches(it, subject))) {
                open.words.insert(stream.name().to_owned(), id.clone());
                noted = true;
            }
        }
        noted.then(|| write_words(&self.owner(), &open.words))
    }

    /// Forgets what waits to be said, as the comparison says what is to be said.
    pub(super) async fn forget_words(&self, owner: &str) -> Result<(), StoreError> {
        self.keep_taken_back(owner).await?;
        let streams: Vec<StreamId> =
            self.folding.words().into_iter().map(|(stream, _)| stream).collect();
        let rows = self.shared.store.scan_all(Table::Outbox, &owned_key(owner, &[])).await?;
        let is_word = |value: &[u8]| match serde_json::from_slice::<Outgoing>(value) {
            Ok(Outgoing::Publish { stream, .. }) => streams.contains(&stream),
            _ => false,
        };
        let waiting = rows.into_iter().filter(|(_, value)| is_word(value));
        let mut writes: Vec<Write> =
            waiting.map(|(row, _)| Write::delete(Table::Outbox, row)).collect();
        writes.push(Mark::NOW.write(owner));
        self.shared.store.commit(writes).await
    }

    /// What is said now, and what is kept back until it can be compared.
    pub(super) fn withheld(
        &self,
        open: &Open<F::Fold>,
        emissions: Emissions<F>,
    ) -> (Emissions<F>, Vec<Keep>) {
        let (mut said, mut withheld) = (Vec::new(), Vec::new());
        for emission in emissions {
            match self.folding.keep(&emission).filter(|_| open.withholds) {
                Some(keep) => withheld.push(keep),
                None => said.push(emission),
            }
        }
        (said, withheld)
    }

    /// Says what is otherwise than what was said last. Returns how much that was.
    /// Interrupted, it goes on where it was: what was said is on the stream then.
    pub(super) async fn compare(
        &self,
        open: &mut Open<F::Fold>,
        mark: &Mark,
    ) -> Result<usize, Trouble> {
        let owner = self.owner();
        // Unlike every other: the holder is of this incarnation, the serial of this making.
        let id = format!("remade/{}/{}", open.making.serial, self.holder);
        let mut told = HashMap::new();
        if open.withholds {
            self.each_word(|Keep { key, said, holds }| {
                let hash = keccak256(&said);
                told.insert(key, Told { holds, hash, done: false });
            })
            .await?;
            open.words = self.last_said().await?;
            self.shared.store.commit(vec![write_words(&owner, &open.words)]).await?;
        }
        let mut count = self.say_withheld(open, &id, &mut told).await?;
        count += self.drop_older(open, mark, &id, &mut told).await?;
        told.retain(|_, told| told.holds && !told.done);
        count += self.drop_told(open, mark, &id, told.into_keys().collect()).await?;
        tracing::debug!(actor = owner, count, "compared with what was said");
        Ok(count)
    }

    /// What this making says of what it kept back.
    async fn say_withheld(
        &self,
        open: &mut Open<F::Fold>,
        id: &str,
        told: &mut HashMap<Vec<u8>, Told>,
    ) -> Result<usize, Trouble> {
        let (owner, store) = (self.owner(), &self.shared.store);
        let prefix = withheld_key(&owner, &[]);
        let mut count = 0;
        loop {
            // What was decided about is gone.
            let page = store.scan_prefix(Table::State, &prefix, None, PAGE).await?;
            if page.is_empty() {
                return Ok(count);
            }
            let mut step = Said::default();
            for (row, value) in page {
                let key = row.get(prefix.len()..).unwrap_or_default().to_vec();
                step.rows.push(Write::delete(Table::State, row));
                let Some((holds, said)) = value.split_first() else { continue };
                let (holds, said) = (*holds != 0, said.to_vec());
                let says = match told.get_mut(&key) {
                    Some(told) => {
                        told.done = true;
                        holds != told.holds || (holds && told.hash != keccak256(&said))
                    }
                    None => {
                        let (hash, done) = (B256::ZERO, true);
                        told.insert(key.clone(), Told { holds, hash, done });
                        // It may have been said on a stream that is gone.
                        let kept = kept_key(&owner, &key);
                        holds || store.get(Table::State, &kept).await?.is_some()
                    }
                };
                if says && let Some(message) = self.folding.say_kept(&said, id)? {
                    step.outgoing.push(message);
                    step.words.push(said.clone());
                }
                if holds || says {
                    step.keeps.push(Keep { key, said, holds });
                } else {
                    step.rows.push(Write::delete(Table::State, kept_key(&owner, &key)));
                }
            }
            count += self.commit_said(open, step).await?;
        }
    }

    /// What an earlier making said and this one does not; and what this one has said and
    /// the stream does not have.
    async fn drop_older(
        &self,
        open: &mut Open<F::Fold>,
        mark: &Mark,
        id: &str,
        told: &mut HashMap<Vec<u8>, Told>,
    ) -> Result<usize, Trouble> {
        let prefix = kept_key(&self.owner(), &[]);
        let (mut count, mut after) = (0, None);
        loop {
            let store = &self.shared.store;
            let page = store.scan_prefix(Table::State, &prefix, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(last.clone());
            let mut step = Said::default();
            for (row, signed) in page {
                let (serial, said) = Making::apart(&signed);
                let key = row.get(prefix.len()..).unwrap_or_default().to_vec();
                let told = told.get_mut(&key);
                let is_decided = told.as_ref().is_some_and(|told| told.done);
                let is_taken_back = told.as_ref().is_some_and(|told| !told.holds);
                let same = told.as_ref().is_some_and(|told| told.hash == keccak256(said));
                if let Some(told) = told {
                    told.done = true;
                }
                if serial >= open.making.serial {
                    let lacks = open.withholds && !is_decided && !same;
                    if lacks && let Some(message) = self.folding.say_kept(said, id)? {
                        step.outgoing.push(message);
                        step.words.push(said.to_vec());
                    }
                } else if is_taken_back {
                    step.rows.push(Write::delete(Table::State, row));
                } else if let Some(message) = self.folding.drop_kept(said, mark.older, id)? {
                    step.outgoing.push(message);
                    step.keeps.push(Keep { key, said: said.to_vec(), holds: false });
                }
            }
            count += self.commit_said(open, step).await?;
        }
    }

    /// What the stream has as so, and neither this making says nor the store knows of.
    async fn drop_told(
        &self,
        open: &mut Open<F::Fold>,
        mark: &Mark,
        id: &str,
        keys: HashSet<Vec<u8>>,
    ) -> Result<usize, Trouble> {
        if keys.is_empty() {
            return Ok(0);
        }
        let mut words: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        self.each_word(|Keep { key, said, .. }| {
            if keys.contains(&key) {
                words.insert(key, said);
            }
        })
        .await?;
        let mut step = Said::default();
        for (key, said) in words {
            if let Some(message) = self.folding.drop_kept(&said, mark.older, id)? {
                step.outgoing.push(message);
                step.keeps.push(Keep { key, said, holds: false });
            }
        }
        self.commit_said(open, step).await
    }

    /// Reads its own words, the oldest first.
    async fn each_word(&self, mut see: impl FnMut(Keep)) -> Result<(), Trouble> {
        for (stream, filters) in self.folding.words() {
            let each = |stored: &Stored| self.folding.word(stored).into_iter().for_each(&mut see);
            for_each(&self.shared.connection, stream, &filters, each).await?;
        }
        Ok(())
    }

    async fn commit_said(&self, open: &mut Open<F::Fold>, said: Said) -> Result<usize, Trouble> {
        let Said { outgoing, keeps, words, mut rows } = said;
        let count = outgoing.len();
        rows.extend(self.note_words(open, &outgoing));
        rows.extend(open.keep(&self.owner(), keeps.into_iter()));
        rows.extend(open.outbox.add(outgoing));
        if !rows.is_empty() {
            self.shared.store.commit(rows).await?;
            self.folding.settled_kept(&self.shared, &words);
            self.flush(open).await?;
        }
        Ok(count)
    }
}

/// What is kept back.
pub(super) fn withhold(owner: &str, keep: &Keep) -> Write {
    let value = [&[u8::from(keep.holds)], keep.said.as_slice()].concat();
    Write::put(Table::State, withheld_key(owner, &keep.key), value)
}

fn words_key(owner: &str) -> Vec<u8> {
    owned_key(owner, b"words")
}

fn write_words(owner: &str, words: &LastWords) -> Write {
    // Plain strings: they serialise to memory.
    Write::put(Table::Positions, words_key(owner), serde_json::to_vec(words).unwrap_or_default())
}

/// Where it is until it is compared.
pub(super) fn withheld_key(owner: &str, key: &[u8]) -> Vec<u8> {
    owned_key(owner, &[b"w", key].concat())
}
