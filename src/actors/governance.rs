//! The governance actor, one per governor: proposals with derived outcomes,
//! votes with the voter's benefits as of that position, and benefits.

pub(super) mod asking;
mod question;
mod truth;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy::primitives::{Address, U256};
use serde_json::{Map, Value as Json, json};

use asking::Asking;
pub(super) use question::answer;
pub use question::{question, read_answer};
use question::{read_state, state_call};
use tokio::time::Instant;
use truth::{Checks, Difference};

use super::{
    benefits,
    fold::{FoldActor, Folding, Mended, NotMended},
    messages::{self, MessageError},
    outbox::Outgoing,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::rpc::RpcError,
    domain::{Name, Position},
    fold::{Emission, Emitted, Engine, Source},
    governance::{Benefits, Governance, Output, ProposalState, queries},
    streams::{
        envelope::{Envelope, UnixTime},
        kv::Bucket,
        setup::BENEFITS_BUCKET,
        subjects::{self, StreamId, Writer, WriterKind},
    },
    telemetry::Metrics,
};

/// What a governor's fold remembers while its actor lives.
#[derive(Debug, Default)]
pub struct Known {
    asking: Asking,
    checks: Checks,
}

/// The actor.
pub type GovernanceActor = FoldActor<Governor>;

/// What makes a governor's fold an actor.
#[derive(Clone)]
pub struct Governor {
    /// Its configured name.
    pub name: Name,
    /// Its address, asked for quorums.
    pub address: Address,
    /// Its chain.
    pub link: ChainLink,
    /// The fold.
    pub fold: Governance,
    /// Where it is told how many proposals differ from what the contract says.
    pub metrics: Metrics,
    /// The governor itself and every contract that gives benefits.
    pub sources: Vec<Source>,
    /// How far revisions are moved on: the bucket may have higher ones than the stream
    /// that it was made anew from gives.
    pub moved_on: Arc<AtomicU64>,
    /// Tells the stream that is read from others.
    pub era: Arc<AtomicU64>,
}

impl Governor {
    /// What ids of messages have in them: unlike that of other rules, and of another stream.
    fn mark(&self) -> String {
        format!("{}/{}", self.fold.version(), self.era.load(Ordering::Relaxed))
    }

    fn revision(&self, counted: u64) -> u64 {
        counted + self.moved_on.load(Ordering::Relaxed)
    }

    /// What the contract says of a proposal as of a block.
    async fn state_at(&self, id: U256, block: u64) -> Result<Option<ProposalState>, RpcError> {
        let at = self.link.place(block).await?;
        let answer = self.link.call(None, self.address, &state_call(id), at).await?;
        Ok(read_state(&answer))
    }

    /// Holds what was derived against what the contract says.
    async fn check(&self, checks: &mut Checks, engine: &Engine<Governance>) {
        // To list them all takes its time.
        if !checks.is_due(Instant::now()) {
            return;
        }
        let Some(block) = engine.applied_through().get(&self.link.chain_id).copied() else {
            return;
        };
        let proposals = queries::proposals(engine.state());
        let state_of = async |id: U256| Box::pin(self.state_at(id, block)).await;
        for (id, Difference { ours, theirs, .. }) in
            checks.look(&proposals, Instant::now, state_of).await
        {
            tracing::error!(
                governor = %self.name, proposal = %id,
                "is {theirs} by the contract's word and {ours} by its events: is its `clock` \
                 configured right, and its `kind`?"
            );
        }
        let differing = i64::try_from(checks.differing().count()).unwrap_or(i64::MAX);
        let governor = [self.name.as_str()];
        self.metrics.governance_differing_proposals.with_label_values(&governor).set(differing);
    }

    fn envelope<T: serde::Serialize>(
        &self,
        id: String,
        kind: &str,
        schema: &str,
        data: T,
    ) -> Envelope<T> {
        let source = format!("/meritd/governors/{}", self.name);
        let time = UnixTime(super::transaction::unix_s());
        Envelope::new(id, source, kind, time, data).schema(messages::schema_of(schema))
    }

    /// A holder's benefits changed: a message, and the present value.
    fn benefits(
        &self,
        revision: u64,
        holder: Address,
        now: &Benefits,
    ) -> Result<Vec<Outgoing>, MessageError> {
        let holder_text = holder.to_checksum(None);
        let data = json!({
            "holder": holder_text,
            "governor": self.name,
            "chain": self.link.name,
            "benefits": now,
            "version": self.fold.version(),
        });
        let envelope = self
            .envelope(
                format!("{}/benefits/{holder_text}/{}/{revision}", self.name, self.mark()),
                "merit.v1.benefits",
                "benefits",
                &data,
            )
            .about(holder_text.clone());
        let message =
            messages::outgoing(StreamId::Governance, subjects::benefits(holder), &envelope)?;
        let value: Map<String, Json> = data.as_object().cloned().unwrap_or_default();
        let put = Outgoing::Put {
            bucket: BENEFITS_BUCKET.to_owned(),
            key: benefits::key(&self.name, holder),
            revision,
            value,
        };
        Ok(vec![message, put])
    }
}

impl Folding for Governor {
    type Fold = Governance;
    type Asking = Known;

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::Governor, self.name.clone())
    }

    fn stream(&self) -> StreamId {
        StreamId::Governance
    }

    fn fold(&self) -> Governance {
        self.fold.clone()
    }

    fn version(&self) -> String {
        self.fold.version().to_string()
    }

    /// Whatever it means, what it said before needs no decision.
    fn meaning(&self) -> Option<String> {
        Some(String::new())
    }

    fn reads(&self, era: u64) {
        self.era.store(era, Ordering::Relaxed);
    }

    fn generation(&self, moved_on: u64) {
        self.moved_on.store(moved_on, Ordering::Relaxed);
    }

    /// Holds what the bucket has of each holder against what the fold says: it may have
    /// been told of blocks that the fold has never seen.
    async fn mend(
        &self,
        shared: &Shared,
        engine: &Engine<Governance>,
        moved_on: u64,
    ) -> Result<Mended, NotMended> {
        let bucket = Bucket::open(&shared.connection, BENEFITS_BUCKET).await?;
        let known = benefits::of_governor(&bucket, &self.name).await?;
        let version = self.fold.version().to_string();
        let newest = known.values().filter(|known| known.version.as_ref() == Some(&version));
        let newest = newest.map(|known| known.revision).max();
        let counted = engine.revision();
        let moved_on = moved_on.max(newest.map_or(0, |it| (it + 1).saturating_sub(counted)));
        let as_of = Position {
            time: engine.applied_time(),
            chain_id: self.link.chain_id,
            block: engine.applied_through().get(&self.link.chain_id).copied().unwrap_or(0),
            transaction_index: 0,
            log_index: 0,
        };
        let mut now: BTreeMap<Address, Benefits> =
            known.keys().map(|holder| (*holder, Benefits::none(as_of))).collect();
        let holders = queries::holders(engine.state()).into_iter();
        now.extend(holders.map(|holder| (holder.holder, holder.benefits)));
        let mut outgoing = Vec::new();
        for (holder, benefits) in now {
            let is_known = known.get(&holder).and_then(|known| known.benefits.as_ref());
            if is_known.is_none_or(|known| !known.are_as(&benefits)) {
                outgoing.extend(self.benefits(counted + moved_on, holder, &benefits)?);
            }
        }
        Ok(Mended { outgoing, generation: moved_on })
    }

    fn sources(&self) -> Vec<(Name, Source)> {
        self.sources.iter().map(|source| (self.link.name.clone(), source.clone())).collect()
    }

    fn say(&self, emission: &Emission<Output>) -> Result<Vec<Outgoing>, MessageError> {
        let revision = self.revision(emission.revision);
        let (output, retracted) = match &emission.emitted {
            Emitted::Says(output) => (output, false),
            Emitted::TakesBack(output) => (output, true),
        };
        match output {
            Output::BenefitsChanged(change) => {
                let none = Benefits::none(change.after.as_of);
                let now = match (retracted, &change.before) {
                    (false, _) => &change.after,
                    (true, Some(before)) => before,
                    (true, None) => &none,
                };
                self.benefits(revision, change.holder, now)
            }
            // Asked for by `learn`.
            Output::QuorumNeeded { .. } => Ok(Vec::new()),
            Output::Unreadable { event, why } if !retracted => {
                let writer = self.writer();
                let origin = json!({ "event": event });
                let id = format!("{writer}/{event}");
                Ok(vec![messages::dead_letter(&writer, &id, why, &origin)?])
            }
            Output::Unreadable { .. } => Ok(Vec::new()),
            Output::ProposalState(_) | Output::Vote(_) | Output::VoteReduced(_) => {
                let what = output.subject_token();
                let data = json!({
                    "governor": self.name,
                    "chain": self.link.name,
                    "retracted": retracted,
                    "what": output,
                });
                let envelope = self.envelope(
                    format!("{}/{what}/{}/{revision}", self.name, self.mark()),
                    &format!("merit.v1.governance.{what}"),
                    "governance",
                    data,
                );
                // The tokens are names by construction.
                let Ok(what) = Name::new(what) else { return Ok(Vec::new()) };
                let subject = subjects::governance(&self.link.name, &self.name, &what);
                Ok(vec![messages::outgoing(StreamId::Governance, subject, &envelope)?])
            }
        }
    }

    async fn learn(
        &self,
        Known { asking, checks }: &mut Known,
        engine: &mut Engine<Governance>,
    ) -> Result<bool, RpcError> {
        self.check(checks, engine).await;
        let wanted = queries::asks(engine.state(), self.fold.counting());
        let ask = async |proposal, ask| {
            Box::pin(answer(&self.link, &self.name, self.address, (proposal, ask))).await
        };
        let answers = asking.ask(&wanted, Instant::now, ask).await;
        for (proposal, why) in answers.refused {
            tracing::warn!(governor = %self.name, %proposal, "what decides it is not to be had: {why}");
        }
        let mut learned = false;
        for (proposal, answer) in answers.learned {
            learned |= engine.amend(|fold, state| fold.learn(state, proposal, answer));
        }
        match answers.failed {
            // It is told with the next round, which asks nobody.
            Some(error) if !learned => Err(error),
            _ => Ok(learned),
        }
    }

    /// Keeps the process's cache true: all holders now, afterwards those whose
    /// benefits change, and no others.
    fn opened(&self, shared: &Shared, engine: &Engine<Governance>) {
        let holders = queries::holders(engine.state()).into_iter();
        let holders = holders.map(|holder| (holder.holder, holder.benefits));
        shared.benefits.fill(&self.name, self.revision(engine.revision()), holders);
    }

    fn settled(&self, shared: &Shared, emissions: &[Emission<Output>]) {
        let governor = [self.name.as_str()];
        let metrics = &shared.metrics;
        for emission in emissions {
            let (output, said) = match &emission.emitted {
                Emitted::Says(output) => (output, true),
                Emitted::TakesBack(output) => (output, false),
            };
            match output {
                Output::BenefitsChanged(change) => {
                    metrics.benefits_changed_total.with_label_values(&governor).inc();
                    let benefits = change.left(said).cloned();
                    let (holder, revision) = (change.holder, self.revision(emission.revision));
                    shared.benefits.change(&self.name, holder, revision, benefits);
                }
                Output::Vote(_) if said => metrics.votes_total.with_label_values(&governor).inc(),
                Output::Unreadable { event, why } if said => {
                    tracing::warn!(governor = %self.name, %event, "{why}");
                    let writer = self.writer().to_string();
                    metrics.dead_letters_total.with_label_values(&[writer.as_str()]).inc();
                }
                _ => {}
            }
        }
    }

    fn observe(&self, engine: &Engine<Governance>) -> Json {
        let states = queries::states(engine.state());
        let asks = queries::asks(engine.state(), self.fold.counting());
        json!({ "proposals": states, "quorums_needed": asks.len() })
    }
}
