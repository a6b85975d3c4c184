//! The life of one nonce, from its first signature to a fate that is final.
//!
//! ```text
//!             a node has it            in a block            deep enough
//!  ┌────────┐ ─────────────▶ ┌──────┐ ───────────▶ ┌───────┐ ───────────▶ ┌───────────┐
//!  │ Signed │                │ Sent │              │ Mined │              │ Confirmed │
//!  └────────┘ ◀───────────── └──────┘ ◀─────────── └───────┘              └───────────┘
//!   │      │   dropped,       │        reorged       ▲   ▲ │
//!   │      │   or replaced    │                      │   └─┘ in another block
//!   │      └──────────────────┼──────────────────────┘
//!   │        in a block (the node's answer was lost)
//!   │                         │
//!   └──────────┬──────────────┘
//!              ▼ the nonce is used by none of ours, deep enough
//!        ┌───────────┐
//!        │ Displaced │
//!        └───────────┘
//! ```
//!
//! A reverted transaction is `Mined` like any other: its nonce is used. A
//! replacement is a further attempt of the same nonce, and the state is
//! `Signed` until a node takes it; whichever attempt is mined counts. The
//! machine never gives its nonce up: after an ambiguous send it sends the
//! same bytes again, and when no node will ever take them it asks for a
//! cancelling attempt at the same nonce.
//!
//! Time and chain are inputs. Answers name the head of the endpoint that
//! gave them, so that "no receipt" of a lagging endpoint proves nothing.

mod messages;

use crate::teeth::{Tooth, is_planted};
use alloy::primitives::B256;

pub use messages::{Heads, Input, Lookup, Output, Receipt, Report, SignedBytes, StuckReason};

use super::{
    ledger::{Execution, Fate, NonceRecord},
    send_errors::SendOutcome,
};

/// Periods, all in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The same bytes are sent again this often until they are mined.
    pub rebroadcast_every_s: u64,
    /// A replacement is asked for when nothing was mined for so long.
    pub bump_after_s: u64,
    /// What can't be outbid under the cap is cancelled so long after its first
    /// signature; `None`: it waits for fees to fall.
    pub give_up_after_s: Option<u64>,
}

/// Where the nonce is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The newest attempt is written down; no node is known to have it.
    Signed,
    /// A node has it.
    Sent,
    /// An attempt is in a block that may still be orphaned.
    Mined(Receipt),
    /// Final: an attempt is deep enough.
    Confirmed(Receipt),
    /// Final: a foreign transaction is.
    Displaced,
}

/// The machine of one nonce.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    nonce: u64,
    signed_at_unix_s: u64,
    pace: Pace,
    attempts: Vec<SignedBytes>,
    state: State,
    broadcast_at_unix_s: Option<u64>,
    // The last moment that restarts the wait for a bump: a signature, a
    // refused bump, an orphaned block.
    waiting_since_unix_s: u64,
    now_unix_s: u64,
    // What was asked of the signer, and when; asked again when no answer comes.
    asked: Option<(Asked, u64)>,
    // The head at which the nonce was first seen used without a receipt of ours.
    missing_since: Option<u64>,
    stuck: Option<StuckReason>,
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Bump,
    Cancel,
}

/// Whether so many seconds have passed. Where the clock was set back since then, nothing
/// tells how many did: what waits must not wait for the clock.
fn waited(since_unix_s: u64, now_unix_s: u64, seconds: u64) -> bool {
    since_unix_s > now_unix_s || now_unix_s - since_unix_s >= seconds
}

impl Lifecycle {
    /// The machine of a live record, also after a restart: what it does not
    /// remember it asks the chain again. `None` when nothing was signed yet
    /// or the fate is final.
    #[must_use]
    pub fn new(record: &NonceRecord, pace: Pace, now_unix_s: u64) -> Option<Self> {
        let newest = record.newest()?;
        let state = match &record.fate {
            Fate::Open if record.sent => State::Sent,
            Fate::Open => State::Signed,
            Fate::Mined(mined) => State::Mined(Receipt {
                hash: mined.hash,
                block: mined.block,
                success: matches!(mined.execution, Execution::Succeeded { .. }),
            }),
            Fate::Confirmed(_) | Fate::Foreign { .. } => return None,
        };
        Some(Self {
            nonce: record.nonce,
            signed_at_unix_s: record.attempts.first()?.signed_at_unix_s.min(now_unix_s),
            pace,
            state,
            broadcast_at_unix_s: None,
            waiting_since_unix_s: newest.signed_at_unix_s.min(now_unix_s),
            now_unix_s,
            attempts: record.attempts.iter().map(SignedBytes::from).collect(),
            asked: None,
            missing_since: None,
            stuck: None,
            held: false,
        })
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it does not move, if it doesn't.
    #[must_use]
    pub fn stuck(&self) -> Option<StuckReason> {
        self.stuck
    }

    /// Takes an input and says what to do about it.
    #[must_use]
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        if matches!(self.state, State::Confirmed(_) | State::Displaced) {
            return Vec::new();
        }
        match input {
            Input::Tick { now_unix_s } => self.tick(now_unix_s),
            Input::SendAnswer { hash, outcome, now_unix_s } => {
                self.now_unix_s = now_unix_s;
                self.send_answer(hash, outcome)
            }
            Input::LookedUp { heads, latest_nonce, found } => {
                self.looked_up(heads, latest_nonce, found)
            }
            Input::Signed { attempt, now_unix_s } => self.signed(attempt, now_unix_s),
            Input::Held(held) => {
                if self.held && !held {
                    // Sent with the next tick; being held was no reason to bump.
                    self.broadcast_at_unix_s = None;
                    self.waiting_since_unix_s = self.now_unix_s;
                }
                self.held = held;
                Vec::new()
            }
            Input::BumpRefused => {
                self.asked = None;
                self.waiting_since_unix_s = self.now_unix_s;
                self.now_stuck(StuckReason::AtCap)
            }
        }
    }

    fn tick(&mut self, now_unix_s: u64) -> Vec<Output> {
        self.now_unix_s = now_unix_s;
        if self.is_mined() {
            // Only a fresh look confirms: the receipt in memory may be orphaned.
            return vec![self.look_up()];
        }
        let mut outputs = Vec::new();
        let due = self
            .broadcast_at_unix_s
            .is_none_or(|at| waited(at, now_unix_s, self.pace.rebroadcast_every_s));
        if due {
            outputs.extend(self.broadcast());
        }
        outputs.push(self.look_up());
        if waited(self.waiting_since_unix_s, now_unix_s, self.pace.bump_after_s) {
            let given_up = self.stuck == Some(StuckReason::AtCap)
                && self
                    .pace
                    .give_up_after_s
                    .is_some_and(|limit| now_unix_s.saturating_sub(self.signed_at_unix_s) >= limit);
            outputs.extend(self.ask(if given_up { Asked::Cancel } else { Asked::Bump }));
        }
        outputs
    }

    fn send_answer(&mut self, hash: B256, outcome: SendOutcome) -> Vec<Output> {
        // An answer about an attempt that was outbid meanwhile says nothing
        // about the present one, and a mined nonce needs no pool.
        if self.is_mined() || self.newest().is_none_or(|newest| newest.hash != hash) {
            return Vec::new();
        }
        match outcome {
            SendOutcome::UnknownFate if is_planted(Tooth::NonceRecycled) => {
                self.state = State::Displaced;
                vec![Output::Report(Report::Displaced)]
            }
            SendOutcome::Accepted | SendOutcome::AlreadyKnown => self.in_pool(hash),
            SendOutcome::NonceTooLow => vec![self.look_up()],
            SendOutcome::NonceTooHigh => vec![Output::Report(Report::Gap)],
            // Without a bump in between, only a foreign transaction holds the
            // nonce in that pool; outbidding it is right as well.
            SendOutcome::ReplacementUnderpriced | SendOutcome::FeeTooLow => self.ask(Asked::Bump),
            SendOutcome::AboveNodeCap => self.now_stuck(StuckReason::AboveNodeCap),
            SendOutcome::InsufficientFunds => self.now_stuck(StuckReason::InsufficientFunds),
            SendOutcome::SenderLimit => self.now_stuck(StuckReason::SenderLimit),
            SendOutcome::PoolFull => self.now_stuck(StuckReason::PoolFull),
            SendOutcome::RateLimited | SendOutcome::UnknownFate => Vec::new(),
            SendOutcome::NeverAcceptable { .. } | SendOutcome::Reverted { .. } => {
                let mut outputs = self.ask(Asked::Cancel);
                if !outputs.is_empty() {
                    outputs.insert(0, Output::Report(Report::Refused(outcome)));
                }
                outputs
            }
        }
    }

    fn looked_up(&mut self, heads: Heads, latest_nonce: u64, found: Lookup) -> Vec<Output> {
        match found {
            Lookup::Mined(receipt) => self.seen_mined(heads, receipt),
            Lookup::Pending | Lookup::Unknown if self.is_mined() => {
                self.not_mined(heads, latest_nonce)
            }
            Lookup::Pending | Lookup::Unknown if latest_nonce > self.nonce => {
                self.used_by_another(heads)
            }
            Lookup::Pending => {
                self.missing_since = None;
                self.newest().map(|newest| newest.hash).map_or(Vec::new(), |h| self.in_pool(h))
            }
            Lookup::Unknown => {
                self.missing_since = None;
                let Some(newest) = self.newest().filter(|_| self.state == State::Sent) else {
                    return Vec::new();
                };
                let dropped = Output::Report(Report::Dropped { hash: newest.hash });
                self.state = State::Signed;
                std::iter::once(dropped).chain(self.broadcast()).collect()
            }
        }
    }

    fn seen_mined(&mut self, heads: Heads, receipt: Receipt) -> Vec<Output> {
        if self.attempts.iter().all(|attempt| attempt.hash != receipt.hash) {
            return Vec::new();
        }
        self.missing_since = None;
        self.asked = None;
        self.stuck = None;
        let mut outputs = Vec::new();
        match self.state {
            State::Mined(was) if was == receipt => {}
            State::Mined(was) => {
                outputs.push(Output::Report(Report::Unmined { was }));
                outputs.push(Output::Report(Report::Mined(receipt)));
            }
            _ => outputs.push(Output::Report(Report::Mined(receipt))),
        }
        self.state = State::Mined(receipt);
        if receipt.block.number <= heads.confirmed {
            self.state = State::Confirmed(receipt);
            outputs.push(Output::Report(Report::Confirmed(receipt)));
        }
        outputs
    }

    /// An endpoint that is past the block and has no receipt saw a reorg; one
    /// that lags has nothing to say.
    fn not_mined(&mut self, heads: Heads, latest_nonce: u64) -> Vec<Output> {
        let State::Mined(was) = self.state else { return Vec::new() };
        if heads.head < was.block.number {
            return Vec::new();
        }
        self.state = State::Sent;
        self.waiting_since_unix_s = self.now_unix_s;
        let mut outputs = vec![Output::Report(Report::Unmined { was })];
        outputs.extend(self.broadcast());
        if latest_nonce > self.nonce {
            outputs.extend(self.used_by_another(heads));
        }
        outputs
    }

    /// The count was asked before the receipts, so none of ours was mined when
    /// it rose past our nonce. It is believed only when the same still holds
    /// after that block became deep enough.
    fn used_by_another(&mut self, heads: Heads) -> Vec<Output> {
        let since = *self.missing_since.get_or_insert(heads.head);
        if since > heads.confirmed {
            return Vec::new();
        }
        self.state = State::Displaced;
        vec![Output::Report(Report::Displaced)]
    }

    fn signed(&mut self, attempt: SignedBytes, now_unix_s: u64) -> Vec<Output> {
        self.now_unix_s = now_unix_s;
        self.asked = None;
        if self.attempts.iter().any(|known| known.hash == attempt.hash) {
            return Vec::new();
        }
        let mut outputs = Vec::new();
        if let Some(old) = self.newest() {
            let (old, new) = (old.hash, attempt.hash);
            outputs.push(Output::Report(Report::Replaced { old, new }));
        }
        self.attempts.push(attempt);
        if !self.is_mined() {
            self.state = State::Signed;
            self.stuck = None;
            self.waiting_since_unix_s = now_unix_s;
            outputs.extend(self.broadcast());
        }
        outputs
    }

    fn in_pool(&mut self, hash: B256) -> Vec<Output> {
        self.stuck = self.stuck.filter(|reason| *reason == StuckReason::AtCap);
        if self.state == State::Signed {
            self.state = State::Sent;
            return vec![Output::Report(Report::Sent { hash })];
        }
        Vec::new()
    }

    fn now_stuck(&mut self, reason: StuckReason) -> Vec<Output> {
        if self.stuck.replace(reason) == Some(reason) {
            Vec::new()
        } else {
            vec![Output::Report(Report::Stuck(reason))]
        }
    }

    // One request at a time; a cancel outranks a bump that is under way.
    fn ask(&mut self, what: Asked) -> Vec<Output> {
        if self.held {
            return Vec::new();
        }
        let under_way = self.asked.is_some_and(|(asked, at)| {
            (asked == what || asked == Asked::Cancel)
                && !waited(at, self.now_unix_s, self.pace.bump_after_s)
        });
        if under_way {
            return Vec::new();
        }
        self.asked = Some((what, self.now_unix_s));
        vec![match what {
            Asked::Bump => Output::Bump,
            Asked::Cancel => Output::Cancel,
        }]
    }

    fn broadcast(&mut self) -> Option<Output> {
        if self.held {
            return None;
        }
        let newest = self.newest()?.clone();
        self.broadcast_at_unix_s = Some(self.now_unix_s);
        Some(Output::Broadcast(newest))
    }

    fn look_up(&self) -> Output {
        Output::LookUp(self.attempts.iter().rev().map(|attempt| attempt.hash).collect())
    }

    fn newest(&self) -> Option<&SignedBytes> {
        self.attempts.last()
    }

    fn is_mined(&self) -> bool {
        matches!(self.state, State::Mined(_))
    }
}

#[cfg(test)]
mod tests;
