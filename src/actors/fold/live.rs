//! What a fold meant when it said what it said: whoever changes that must say what
//! becomes of it.

use serde::{Deserialize, Serialize};

use super::{Change, FoldActor, Folding, Trouble, opening::kept_key};
use crate::{
    actors::outbox::owned_key,
    store::{Session, StoreError, Table, Write},
};

/// What a fold meant when it said something last, and how often something was taken
/// back because it meant something else. Whatever becomes of the fold, this stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Live {
    meaning: String,
    taken_back: u64,
}

impl Live {
    pub(super) fn new(meaning: String, taken_back: u64) -> Self {
        Self { meaning, taken_back }
    }

    pub(super) fn write(&self, owner: &str) -> Write {
        // Plain strings and numbers: they serialise to memory.
        let value = serde_json::to_vec(self).unwrap_or_default();
        Write::put(Table::Positions, owned_key(owner, LIVE), value)
    }
}

const LIVE: &[u8] = b"live";

impl<F: Folding> FoldActor<F> {
    /// What it meant before, if it means something else now, and what is to be done about
    /// it; what is to be written down of what it means now.
    pub(super) async fn changed(&self, owner: &str) -> Result<Option<Live>, Trouble> {
        let Some(meaning) = self.folding.meaning() else {
            // What was asked for before stays: nothing is taken back any more, either.
            self.judge_older(owner, false).await?;
            return Ok(None);
        };
        let saved = self.shared.store.get(Table::Positions, &owned_key(owner, LIVE)).await?;
        let saved: Option<Live> = saved.and_then(|saved| serde_json::from_slice(&saved).ok());
        let Some(before) = saved else {
            self.folding.generation(0);
            return Ok(Some(Live { meaning, taken_back: 0 }));
        };
        let is_same = before.meaning == meaning;
        let taken_back = before.taken_back;
        let change = self.folding.on_change(&before.meaning);
        if change != Change::Recompute {
            self.judge_older(owner, false).await?;
        }
        match change {
            _ if is_same => {}
            // What nobody was told of can't be changed silently.
            Change::Wait(why) if self.has_kept(owner).await? => return Err(Trouble::Changed(why)),
            // Before the fold is forgotten: whatever a crash interrupts, it is done.
            Change::Recompute => self.judge_older(owner, true).await?,
            Change::Rebuild | Change::Wait(_) => {}
        }
        self.folding.generation(taken_back);
        Ok((!is_same).then_some(Live { meaning, taken_back }))
    }

    /// How often something was taken back, or how far revisions were moved on.
    pub(super) async fn generation(&self, owner: &str) -> Result<u64, StoreError> {
        let saved = self.shared.store.get(Table::Positions, &owned_key(owner, LIVE)).await?;
        let saved: Option<Live> = saved.and_then(|saved| serde_json::from_slice(&saved).ok());
        Ok(saved.map_or(0, |live| live.taken_back))
    }

    /// Whether anything is kept that this or an older version said.
    pub(super) async fn has_kept(&self, owner: &str) -> Result<bool, StoreError> {
        let prefix = kept_key(owner, &[]);
        Ok(!self.shared.store.scan_prefix(Table::State, &prefix, None, 1).await?.is_empty())
    }
}

/// What a fold means by what it has said and not taken back; `None` where that is
/// nothing. Nobody else may have the store meanwhile.
///
/// # Errors
/// When the store can't be read.
pub(in crate::actors) fn meaning_of_said(
    store: &Session,
    owner: &str,
) -> Result<Option<String>, StoreError> {
    if store.scan_prefix(Table::State, &kept_key(owner, &[]), None, 1)?.is_empty() {
        return Ok(None);
    }
    let saved = store.get(Table::Positions, &owned_key(owner, LIVE))?;
    let live: Option<Live> = saved.and_then(|saved| serde_json::from_slice(&saved).ok());
    Ok(live.map(|live| live.meaning))
}
