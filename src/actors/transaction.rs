//! The transaction actor, one per in-flight (signer, nonce): broadcasts what
//! the signer wrote down, watches it, asks for replacements, and tells the
//! signer what became of it.
//!
//! It owns nothing that must survive: a new incarnation starts from the
//! signer's ledger and asks the chain again.

mod looking;
mod sightings;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix::Message;
use alloy::primitives::{Address, B256, U256};
use serde_json::{Value as Json, json};
use tokio::{sync::watch, time::Instant};

pub use sightings::Sightings;

use super::{
    pauses::Paused,
    shared::ChainLink,
    signer::{FromTransaction, Replace, Reported, SignerActor},
};
use crate::{
    domain::Name,
    failpoints::Failpoint,
    signing::{
        calls::{Calls, Target},
        ledger::{Fate, Mined, NonceRecord},
        lifecycle::{Input, Lifecycle, Output, Pace, Receipt, Report, SignedBytes},
        reverts::RevertDecoder,
        send_errors::{SendOutcome, classify_send},
    },
    supervisor::{ActorRef, Next, Receives, Stepper, Steps, Unreachable},
    teeth::{Tooth, is_planted},
    telemetry::Metrics,
};

/// What the signer hands to a new transaction actor.
#[derive(Clone)]
pub struct TransactionSpec {
    /// The chain.
    pub link: ChainLink,
    /// The signer's address.
    pub from: Address,
    /// The record as it is in the ledger, kept up to date by the signer: a new
    /// incarnation must know every attempt.
    pub record: watch::Receiver<NonceRecord>,
    /// The contract that the record calls.
    pub contract: Address,
    /// How it is called.
    pub calls: Arc<Calls>,
    /// Who the items of the record are, in its order: how logs are told apart.
    pub items: Vec<Target>,
    /// All metrics.
    pub metrics: Metrics,
    /// The signer's name.
    pub signer: Name,
    /// The rule sets that asked for its items.
    pub rule_sets: BTreeSet<Name>,
    /// What a person has paused.
    pub pauses: watch::Receiver<Paused>,
    /// Periods.
    pub pace: Pace,
    /// Depth at which it counts as landed, in blocks; 1 is the block itself.
    pub confirmations: u64,
    /// How often the chain is asked.
    pub poll: Duration,
    /// Explains reverts of the contract.
    pub decoder: Arc<RevertDecoder>,
    /// What all transactions of the signer ask alike.
    pub sightings: Arc<Sightings>,
}

/// What it owns: the machine of its nonce.
pub struct TransactionActor {
    spec: TransactionSpec,
    signer: ActorRef<Stepper<SignerActor>>,
    machine: Option<Lifecycle>,
    /// The last mined attempt that was looked at, and what it did.
    seen: Option<Seen>,
    /// The receipt that a second source agreed to.
    seconded: Option<Receipt>,
    /// What the signer has of it.
    reported: Option<Mined>,
    /// When it was looked for last, and which head was followed then.
    looked: Option<(Option<B256>, Instant)>,
    /// How many of the record's attempts the machine knows.
    known: usize,
    refused: bool,
    trouble: Option<String>,
    done: bool,
}

/// A mined attempt, what it did and what it cost.
#[derive(Clone, Debug)]
struct Seen {
    /// The place of the endpoint that said so.
    told_by: usize,
    mined: Mined,
    gas_used: u64,
    /// Wei per gas.
    price: u128,
    /// Wei that a rollup charged for its data.
    l1_fee: U256,
}

/// The signer can't sign a replacement now: cap or budget.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct NoReplacement;

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum TransactionFailure {
    /// The signer can't be told; it will make a new actor when it is back.
    #[error("what became of nonce {nonce} could not be told: {source}")]
    Untold {
        /// The nonce.
        nonce: u64,
        /// Why.
        source: Unreachable,
    },
}

/// How long the signer may take to note a report: longer than its longest step.
const TELL_LIMIT: Duration = Duration::from_secs(90);

impl TransactionActor {
    /// An actor for a live record.
    #[must_use]
    pub fn new(spec: TransactionSpec, signer: ActorRef<Stepper<SignerActor>>) -> Self {
        let (machine, known, reported) = {
            let record = spec.record.borrow();
            let reported = match &record.fate {
                Fate::Mined(mined) => Some(mined.clone()),
                _ => None,
            };
            (Lifecycle::new(&record, spec.pace, unix_s()), record.attempts.len(), reported)
        };
        Self {
            spec,
            signer,
            machine,
            seen: None,
            seconded: None,
            reported,
            looked: None,
            known,
            refused: false,
            trouble: None,
            done: false,
        }
    }

    fn nonce(&self) -> u64 {
        self.spec.record.borrow().nonce
    }

    /// Whether nothing may be sent now. What a node has already goes on when
    /// only a rule set is paused: later nonces of others wait for it.
    fn is_held(&self, paused: &Paused) -> bool {
        let is_new = || !self.spec.record.borrow().sent;
        paused.signer(&self.spec.signer)
            || (self.spec.rule_sets.iter().any(|set| paused.rule_set(set)) && is_new())
    }

    /// Feeds the machine, and does what it asks until it asks for nothing more.
    async fn feed(&mut self, first: Input) -> Result<(), TransactionFailure> {
        let mut inputs = VecDeque::from([first]);
        while let Some(input) = inputs.pop_front() {
            let is_tick = matches!(input, Input::Tick { .. });
            let outputs = match &mut self.machine {
                Some(machine) => machine.step(input),
                None => return Ok(()),
            };
            for output in outputs {
                match output {
                    Output::Broadcast(signed) => {
                        let hash = signed.hash;
                        let outcome = self.broadcast(&signed).await;
                        inputs.push_back(Input::SendAnswer { hash, outcome, now_unix_s: unix_s() });
                    }
                    // Each tick asks for a look; between two heads it tells nothing.
                    Output::LookUp(_) if is_tick && !self.is_due() => {}
                    Output::LookUp(hashes) => inputs.extend(Box::pin(self.look(&hashes)).await),
                    Output::Bump => self.ask(Replace::Bump).await?,
                    Output::Cancel => self.ask(Replace::Cancel).await?,
                    Output::Report(report) => self.report(report).await?,
                }
            }
        }
        Ok(())
    }

    /// Sends the bytes to several endpoints; the best of their answers counts,
    /// since one that took them is enough.
    async fn broadcast(&self, signed: &SignedBytes) -> SendOutcome {
        let mut pauses = self.spec.pauses.clone();
        Failpoint::BeforeBroadcast.hit();
        let answers = tokio::select! {
            biased;
            // Also in the middle of its retries. Who asks ends with the daemon.
            _ = pauses.wait_for(|paused| self.is_held(paused)) => return SendOutcome::UnknownFate,
            answers = self.spec.link.client.send_raw(&signed.raw) => answers,
        };
        Failpoint::AfterBroadcast.hit();
        let outcomes = answers.into_iter().map(|answer| match answer.result {
            Ok(_) => SendOutcome::Accepted,
            Err(error) => match error.refusal() {
                Some(refusal) => classify_send(
                    refusal.code.unwrap_or_default(),
                    &refusal.message,
                    refusal.data.as_ref(),
                    refusal.http_status,
                ),
                None => SendOutcome::UnknownFate,
            },
        });
        let outcomes: Vec<SendOutcome> = outcomes.collect();
        if is_planted(Tooth::NonceRecycled) && outcomes.contains(&SendOutcome::UnknownFate) {
            return SendOutcome::UnknownFate;
        }
        let best = outcomes.into_iter().min_by_key(rank).unwrap_or(SendOutcome::UnknownFate);
        let labels = [self.spec.signer.as_str(), best.as_str()];
        self.spec.metrics.send_outcomes_total.with_label_values(&labels).inc();
        best
    }

    async fn ask(&mut self, what: Replace) -> Result<(), TransactionFailure> {
        self.tell_signer(Reported::Wants(what)).await
    }

    async fn report(&mut self, report: Report) -> Result<(), TransactionFailure> {
        let reported = match report {
            Report::Sent { hash } => Reported::Sent(hash),
            Report::Replaced { .. } => return Ok(()),
            Report::Mined(receipt) => return self.report_mined(receipt).await,
            Report::Unmined { was } => {
                self.reported = None;
                Reported::Unmined(was.hash)
            }
            Report::Confirmed(receipt) => {
                // Who told of it first may have been contradicted since.
                self.report_mined(receipt).await?;
                self.done = true;
                Reported::Confirmed
            }
            Report::Displaced => {
                self.done = true;
                Reported::Displaced
            }
            Report::Dropped { hash } => Reported::Dropped(hash),
            Report::Gap => Reported::Gap,
            Report::Stuck(reason) => {
                self.trouble = Some(format!("stuck: {reason:?}"));
                Reported::Stuck(reason)
            }
            Report::Refused(outcome) => {
                self.trouble = Some(format!("refused: {outcome:?}"));
                Reported::Refused(outcome)
            }
        };
        self.tell_signer(reported).await
    }

    /// Tells where it is and what it did there, unless the signer has just that.
    async fn report_mined(&mut self, receipt: Receipt) -> Result<(), TransactionFailure> {
        // `believe` saw it before the machine was told.
        let seen = self.seen.clone().filter(|seen| seen.mined.hash == receipt.hash);
        let seen = seen.filter(|seen| self.reported.as_ref() != Some(&seen.mined));
        let Some(Seen { mined, gas_used, price, l1_fee, .. }) = seen else { return Ok(()) };
        self.reported = Some(mined.clone());
        self.tell_signer(Reported::Mined { mined, gas_used, price, l1_fee }).await
    }

    async fn tell_signer(&self, what: Reported) -> Result<(), TransactionFailure> {
        let nonce = self.nonce();
        self.signer
            .tell(FromTransaction { nonce, what }, TELL_LIMIT)
            .await
            .map_err(|source| TransactionFailure::Untold { nonce, source })
    }
}

impl Receives<NoReplacement> for TransactionActor {
    fn receive(&mut self, _: NoReplacement) {
        self.refused = true;
    }
}

impl Steps for TransactionActor {
    type Failure = TransactionFailure;

    async fn started(&mut self) -> Result<(), TransactionFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, TransactionFailure> {
        let held = self.is_held(&self.spec.pauses.borrow().clone());
        self.feed(Input::Held(held)).await?;
        let news: Vec<SignedBytes> = {
            let record = self.spec.record.borrow_and_update();
            record.attempts.iter().skip(self.known).map(SignedBytes::from).collect()
        };
        for attempt in news {
            self.known += 1;
            self.feed(Input::Signed { attempt, now_unix_s: unix_s() }).await?;
        }
        if std::mem::take(&mut self.refused) {
            self.feed(Input::BumpRefused).await?;
        }
        self.feed(Input::Tick { now_unix_s: unix_s() }).await?;
        if self.done || self.machine.is_none() {
            return Ok(Next::Finished);
        }
        Ok(Next::After(self.spec.poll))
    }

    async fn drain(&mut self) {}

    fn observe(&self) -> Json {
        json!({
            "nonce": self.nonce(),
            "state": self.machine.as_ref().map(|machine| format!("{:?}", machine.state()))
                .map(|state| state.split('(').next().unwrap_or_default().to_lowercase()),
            "held": self.is_held(&self.spec.pauses.borrow().clone()),
            "trouble": self.trouble,
        })
    }
}

/// Which of several endpoints' answers counts: the lowest.
fn rank(outcome: &SendOutcome) -> u8 {
    match outcome {
        SendOutcome::Accepted => 0,
        SendOutcome::AlreadyKnown => 1,
        SendOutcome::NonceTooLow => 2,
        SendOutcome::UnknownFate => 3,
        SendOutcome::RateLimited | SendOutcome::PoolFull | SendOutcome::SenderLimit => 4,
        SendOutcome::NonceTooHigh
        | SendOutcome::ReplacementUnderpriced
        | SendOutcome::FeeTooLow
        | SendOutcome::AboveNodeCap
        | SendOutcome::InsufficientFunds => 5,
        SendOutcome::NeverAcceptable { .. } | SendOutcome::Reverted { .. } => 6,
    }
}

/// Wall-clock time, seconds since the Unix epoch: paces rebroadcasts only,
/// never decides what was earned.
pub(in crate::actors) fn unix_s() -> u64 {
    crate::clock::unix_seconds()
}
