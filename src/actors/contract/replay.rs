//! Events told once more, for consumers that lost them: the same blocks are
//! read from the chain again, and their events published under the same ids.
//!
//! No watermark closes them and the cursor does not move: folds know such
//! events by their position, and watermarks count only events that are new.
//! A replay lives in one incarnation of the actor. What it said stays said;
//! whoever asked for the rest asks again.

mod run;

use std::{sync::Arc, time::Duration};

use actix::Message;
use serde::Serialize;
use tokio::time::Instant;

use run::{Chunk, Run, announced};

use super::{
    ContractActor, Reading, Trouble,
    ahead::{Ahead, Batch},
};
use crate::{
    actors::feed::ranges::{self, Order},
    chain::cursor::ChainView,
    chance,
    domain::{BlockRef, Name},
    streams::{PublishError, subjects::StreamId},
    supervisor::{Next, Receives},
};

pub(super) use run::Replay;

/// Most blocks of one replay.
pub const REPLAY_BLOCKS_MAX: u64 = 100_000;
/// Longest time to read a chunk; one that takes longer is read in halves.
const CHUNK_WITHIN: Duration = Duration::from_secs(10);

/// Asks for the events of blocks `from` to `to` once more.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<ReplayStatus, NotReplayed>")]
pub struct StartReplay {
    /// First block.
    pub from_block: u64,
    /// Last block.
    pub to_block: u64,
}

/// Asks how the last replay gets on; `None` when this incarnation of the
/// actor was asked for none.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<ReplayStatus>")]
pub struct ReplayProgress;

/// How a replay gets on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayStatus {
    /// The contract.
    pub contract: Name,
    /// Whether it goes on.
    pub state: ReplayState,
    /// First block.
    pub from_block: u64,
    /// Last block.
    pub to_block: u64,
    /// The first block that is not told yet.
    pub next_block: u64,
    /// Events told so far.
    pub events: u64,
    /// Why it failed, or what it is held up by.
    pub why: Option<String>,
}

/// See [`ReplayStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// It goes on.
    Running,
    /// All is told.
    Done,
    /// It ended before.
    Failed,
}

/// Why a replay does not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayed {
    /// It ends before it begins.
    #[error("from_block {from_block} is above to_block {to_block}")]
    Inverted {
        /// First block.
        from_block: u64,
        /// Last block.
        to_block: u64,
    },
    /// Too much at once.
    #[error(
        "{blocks} blocks are more than one replay may have ({REPLAY_BLOCKS_MAX}): ask for fewer, \
         several times"
    )]
    TooMany {
        /// What was asked for.
        blocks: u64,
    },
    /// The contract is not watched there.
    #[error("from_block {from_block} is below the contract's start_block {start_block}")]
    BeforeStart {
        /// First block.
        from_block: u64,
        /// The first block of interest.
        start_block: u64,
    },
    /// These blocks have not been told a first time.
    #[error("to_block {to_block} is above the contract's last watermark{}", last_of(*last))]
    NotToldYet {
        /// Last block.
        to_block: u64,
        /// The last block that is complete.
        last: Option<u64>,
    },
    /// Another one goes on.
    #[error(
        "blocks {from_block} to {to_block} are being replayed, at {next_block}: wait for the end"
    )]
    Busy {
        /// The other's first block.
        from_block: u64,
        /// Its last block.
        to_block: u64,
        /// Where it is.
        next_block: u64,
    },
    /// The actor has no cursor at this moment.
    #[error("the contract is finding its place in the stream: try again")]
    NoCursor,
}

/// Why a chunk was not told; it is tried again.
#[derive(Debug, thiserror::Error)]
enum NotTold {
    #[error(transparent)]
    Trouble(#[from] Trouble),
    #[error("reading blocks {from} to {to} took longer than {} s", CHUNK_WITHIN.as_secs())]
    TooSlow { from: u64, to: u64 },
    #[error("blocks {from} to {to} are not on the branch that was announced")]
    OtherBranch { from: u64, to: u64 },
}

fn last_of(last: Option<u64>) -> String {
    last.map_or_else(|| ": there is none yet".to_owned(), |last| format!(", block {last}"))
}

impl ContractActor {
    /// After a normal step, of which `next` comes: tells one chunk of the
    /// replay, if there is one.
    ///
    /// # Errors
    /// When another daemon writes for this contract now. Whatever else goes
    /// wrong is the replay's own trouble.
    pub(super) async fn replay_step(&mut self, next: Next) -> Result<Next, Trouble> {
        let Some(run) = self.replay.running() else { return Ok(next) };
        let now = Instant::now();
        if let Some(wait) = run.not_before.and_then(|at| at.checked_duration_since(now)) {
            return Ok(sooner(next, wait));
        }
        let Some(view) = self.link.view.borrow().clone() else { return Ok(next) };
        if let Some(frozen) = &view.frozen {
            run.fail(format!("the chain is frozen: {frozen}"));
            return Ok(next);
        }
        let Some(reading) = self.reading.take() else { return Ok(next) };
        let outcome = match run.chunk(&reading.cursor, view.finalized, &self.limits) {
            Chunk::None => Ok(()),
            // What a factory creates is looked for only as far as that is known.
            Chunk::Read(_, to) if self.readable(to, &view).is_none() => {
                self.reading = Some(reading);
                return Ok(next);
            }
            Chunk::Read(from, to) => Box::pin(self.tell_again(&view, &reading, from, to)).await,
        };
        self.reading = Some(reading);
        let name = &self.name;
        let Some(run) = self.replay.last() else { return Ok(next) };
        match outcome {
            Err(NotTold::Trouble(fenced @ Trouble::Publish(PublishError::Fenced { .. }))) => {
                return Err(fenced);
            }
            Err(why) => {
                let jitter = chance::random_range(0.5..1.0);
                run.stumbled(why.to_string(), Instant::now(), jitter);
            }
            Ok(()) => {}
        }
        let Run { from, to, events, state, why, .. } = run;
        match state {
            ReplayState::Running => return Ok(sooner(next, Duration::ZERO)),
            ReplayState::Done => tracing::info!(contract = %name, from, to, events, "replayed"),
            ReplayState::Failed => {
                tracing::warn!(contract = %name, from, to, why, "the replay was given up");
            }
        }
        Ok(next)
    }

    async fn tell_again(
        &mut self,
        view: &ChainView,
        reading: &Reading,
        from: u64,
        to: u64,
    ) -> Result<(), NotTold> {
        let read = async {
            match from <= view.finalized {
                true => self.read_again(from, to).await,
                false => self.read_recent(view, from, to).await,
            }
        };
        let read = tokio::time::timeout(CHUNK_WITHIN, read).await;
        let (mut ahead, blocks) = read.map_err(|_| NotTold::TooSlow { from, to })??;
        if !announced(&blocks, view.finalized, &reading.cursor) {
            return Err(NotTold::OtherBranch { from, to });
        }
        let (through, mut told) = (ahead.next().saturating_sub(1), 0);
        while let Some(Batch { events, .. }) = ahead.take() {
            told += events.len() as u64;
            if !events.is_empty() {
                let told =
                    self.shared.publish_all(StreamId::Events, events, Some(&reading.fence)).await;
                told.map_err(Trouble::from)?;
            }
        }
        if let Some(run) = self.replay.running() {
            run.told(through, told);
        }
        Ok(())
    }

    /// Reads final blocks, or the first of them. Not through the feed, which is
    /// where the contracts of its chain are.
    async fn read_again(&self, from: u64, to: u64) -> Result<(Ahead, Vec<BlockRef>), Trouble> {
        let client = self.link.client.backfill();
        let order = Order {
            from,
            to,
            shares: vec![((), from, Arc::clone(&self.watched))],
            window: None,
            completeness: self.completeness,
        };
        let mut ahead = Ahead::at(from);
        let mut blocks = Vec::new();
        for (_, _, piece) in ranges::read(&client, order).await?.parts {
            self.read(&piece.logs, &piece.headers, false, &mut ahead).await?;
            blocks.extend_from_slice(&piece.headers);
        }
        Ok((ahead, blocks))
    }
}

/// The next step comes after this time at the latest.
fn sooner(next: Next, wait: Duration) -> Next {
    match next {
        Next::Again => Next::Again,
        _ if wait.is_zero() => Next::Again,
        Next::After(pause) => Next::After(pause.min(wait)),
        Next::OnNudge | Next::Finished => Next::After(wait),
    }
}

impl Receives<StartReplay> for ContractActor {
    fn receive(&mut self, ask: StartReplay) -> Result<ReplayStatus, NotReplayed> {
        let reading = self.reading.as_ref().ok_or(NotReplayed::NoCursor)?;
        self.replay.begin(ask, self.start_block, &reading.cursor)?;
        self.replay.status(&self.name).ok_or(NotReplayed::NoCursor)
    }
}

impl Receives<ReplayProgress> for ContractActor {
    fn receive(&mut self, _: ReplayProgress) -> Option<ReplayStatus> {
        self.replay.status(&self.name)
    }
}
