//! The rule-set actor, one per rule set: asks for unlocks when conditions
//! are met, and takes requests back when their evidence is orphaned.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use actix::Message;
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
};
use serde_json::{Value as Json, json};

use tokio::time::Instant;

use super::{
    fold::{self, Change, FoldActor, Folding, Keep},
    governance::{answer, asking::Asking},
    messages::{self, MessageError},
    outbox::Outgoing,
    shared::{ChainLink, Shared},
};
use crate::{
    chain::rpc::RpcError,
    domain::{Name, UnlockMessage, UnlockRequest, UnlockState},
    fold::{Emission, Emitted, Engine, Source},
    rules::{self, Asked, Lapse, OnChange, Question, RuleSet, Unlock},
    store::{Session, StoreError},
    streams::{
        read::Stored,
        subjects::{self, StreamId, Writer, WriterKind},
    },
    supervisor::Receives,
};

/// The actor.
pub type RuleSetActor = FoldActor<Rules>;

/// The version by which a set has asked for what it has asked for; `None` where that is
/// nothing. Nobody else may have the store meanwhile.
///
/// # Errors
/// When the store can't be read.
pub fn meaning_of_said(store: &Session, set: &Name) -> Result<Option<String>, StoreError> {
    fold::meaning_of_said(store, &Writer::new(WriterKind::RuleSet, set.clone()).to_string())
}

/// What makes a rule set's fold an actor.
#[derive(Clone)]
pub struct Rules {
    /// The compiled set.
    pub set: Arc<RuleSet>,
    /// The chains' names by their ids.
    pub chains: Arc<BTreeMap<u64, Name>>,
    /// Tells the stream that is read from others.
    pub era: Arc<AtomicU64>,
    /// The governors that it follows, to be asked what events don't tell.
    pub governors: BTreeMap<Name, (Address, ChainLink)>,
}

/// When which governor is asked what.
#[derive(Debug, Default)]
pub struct Questions {
    /// By the governor, and whether it is for a block's time.
    asking: BTreeMap<(Name, bool), Asking>,
    /// Why something that a block waits for was refused.
    refused: Option<RpcError>,
}

/// Blocks that are let begin in one round: questions about history come by
/// hundreds.
const BLOCKS_AT_ONCE: usize = 64;

/// Asks where a user stands with an achievement; `None` while the actor has
/// not read its state yet.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Json>")]
pub struct Explain {
    /// The achievement's name.
    pub achievement: Name,
    /// The user.
    pub user: Address,
}

impl Folding for Rules {
    type Fold = Arc<RuleSet>;
    type Asking = Questions;

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::RuleSet, self.set.id().clone())
    }

    fn stream(&self) -> StreamId {
        StreamId::Unlocks
    }

    fn fold(&self) -> Arc<RuleSet> {
        Arc::clone(&self.set)
    }

    fn version(&self) -> String {
        let shadow = if self.set.is_shadow() { "/shadow" } else { "" };
        format!("{}/{}{shadow}", self.set.version(), rules::LAYOUT)
    }

    fn meaning(&self) -> Option<String> {
        (!self.set.is_shadow()).then(|| self.set.version().to_string())
    }

    fn reads(&self, era: u64) {
        self.era.store(era, Ordering::Relaxed);
    }

    fn on_change(&self, older: &str) -> Change {
        match self.set.on_change() {
            Some(OnChange::Carry | OnChange::FromNow) => Change::Rebuild,
            Some(OnChange::Recompute) => Change::Recompute,
            None => Change::Wait(format!(
                "rule set `{}` means something else than what was asked for by it ({older}): look \
                 at `meritd diff`, then say on_change = \"carry\", \"recompute\" or \"from-now\" in it",
                self.set.id()
            )),
        }
    }

    fn keep(&self, emission: &Emission<Unlock>) -> Option<Keep> {
        if self.set.is_shadow() {
            return None;
        }
        Some(kept(&said_of(emission)))
    }

    fn words(&self) -> Vec<(StreamId, Vec<String>)> {
        if self.set.is_shadow() {
            return Vec::new();
        }
        let id = self.set.id();
        let states = [UnlockState::Requested, UnlockState::Retracted];
        let unlocks = states.map(|state| subjects::unlocks_of(id, state));
        let notices = vec![subjects::notice(id)];
        vec![(StreamId::Unlocks, unlocks.to_vec()), (StreamId::Operations, notices)]
    }

    fn word(&self, stored: &Stored) -> Option<Keep> {
        let message = messages::read::<UnlockMessage>(&stored.payload).ok();
        let message = message.or_else(|| messages::read_earned(&stored.payload))?;
        Some(kept(&message)).filter(|_| message.request.rule_set == *self.set.id())
    }

    fn say_kept(&self, said: &[u8], mark: &str) -> Result<Option<Outgoing>, MessageError> {
        let Ok(message) = serde_json::from_slice::<UnlockMessage>(said) else { return Ok(None) };
        self.message(&message, &format!("{}/{mark}", self.mark())).map(Some)
    }

    fn settled_kept(&self, shared: &Shared, said: &[Vec<u8>]) {
        for said in said {
            if let Ok(message) = serde_json::from_slice::<UnlockMessage>(said) {
                self.tell(shared, &message.request, message.state);
            }
        }
    }

    fn drop_kept(
        &self,
        kept: &[u8],
        older: bool,
        mark: &str,
    ) -> Result<Option<Outgoing>, MessageError> {
        // Older programs kept the request alone.
        let message = serde_json::from_slice::<UnlockMessage>(kept).map(|message| message.request);
        let Ok(request) = message.or_else(|_| serde_json::from_slice::<UnlockRequest>(kept)) else {
            return Ok(None);
        };
        let version = self.set.version();
        let is_older = request.evidence.rule_version != version;
        if is_older && !older {
            return Ok(None);
        }
        let reason = || format!("version {version} of the rule set does not give it");
        let message = UnlockMessage {
            state: UnlockState::Retracted,
            request,
            transaction_hash: None,
            code: is_older.then(|| CHANGED.to_owned()),
            reason: is_older.then(reason),
        };
        self.message(&message, &format!("{}/{mark}", self.mark())).map(Some)
    }

    fn sources(&self) -> Vec<(Name, Source)> {
        let named = |source: Source| {
            let chain = self.chains.get(&source.chain_id)?;
            Some((chain.clone(), source))
        };
        self.set.sources().into_iter().filter_map(named).collect()
    }

    fn say(&self, emission: &Emission<Unlock>) -> Result<Vec<Outgoing>, MessageError> {
        if self.set.is_shadow() {
            return Ok(Vec::new());
        }
        let mark = format!("{}/{}", self.mark(), emission.revision);
        Ok(vec![self.message(&said_of(emission), &mark)?])
    }

    async fn learn(
        &self,
        asking: &mut Questions,
        engine: &mut Engine<Arc<RuleSet>>,
    ) -> Result<bool, RpcError> {
        let mut learned = false;
        for _ in 0..BLOCKS_AT_ONCE {
            let Some(end) = engine.waits_for().copied() else { break };
            let set = engine.fold();
            let questions = set.questions(engine.state(), end.chain_id, end.block, end.time);
            let (answers, failed) = self.ask(asking, &questions).await;
            if answers.is_empty() {
                // It is told with the next round, too: nobody asks in between.
                let why = failed.or_else(|| asking.refused.clone());
                return why.filter(|_| !learned).map_or(Ok(learned), Err);
            }
            learned = true;
            asking.refused = None;
            engine.amend(|set, state| {
                for (question, answer) in &answers {
                    set.learn(state, question, *answer);
                }
            });
        }
        Ok(learned)
    }

    fn opened(&self, _: &Shared, _: &Engine<Arc<RuleSet>>) {}

    fn settled(&self, shared: &Shared, emissions: &[Emission<Unlock>]) {
        for emission in emissions {
            let (Unlock { request, .. }, state) = meaning(emission);
            self.tell(shared, request, state);
        }
    }

    fn observe(&self, _: &Engine<Arc<RuleSet>>) -> Json {
        json!({
            "achievements": self.set.achievements().iter().map(|a| &a.name).collect::<Vec<_>>(),
            "version": self.set.version(),
            "shadow": self.set.is_shadow(),
        })
    }
}

impl Rules {
    /// What ids of messages begin with: unlike that of another meaning, and of positions in
    /// another stream.
    fn mark(&self) -> String {
        format!("{}/{}", self.set.version(), self.era.load(Ordering::Relaxed))
    }

    /// Counts a word, and logs it.
    fn tell(&self, shared: &Shared, request: &UnlockRequest, state: UnlockState) {
        let state = match (self.set.is_shadow(), self.is_told(&request.achievement)) {
            (true, _) => format!("shadow_{}", state.as_str()),
            (false, true) => format!("told_{}", state.as_str()),
            (false, false) => state.as_str().to_owned(),
        };
        let labels = [request.rule_set.as_str(), state.as_str()];
        shared.metrics.unlocks_total.with_label_values(&labels).inc();
        tracing::info!(
            rule_set = %request.rule_set,
            achievement = %request.achievement,
            user = %request.user,
            "unlock {state}"
        );
    }

    /// What is said of an unlock, to its signer or to whoever wants to know.
    fn message(&self, message: &UnlockMessage, mark: &str) -> Result<Outgoing, MessageError> {
        match self.is_told(&message.request.achievement) {
            true => messages::earned(message, mark),
            false => messages::unlock(message, mark),
        }
    }

    fn is_told(&self, achievement: &Name) -> bool {
        self.set.achievements().iter().any(|it| it.name == *achievement && it.notify)
    }

    /// Asks the governors' chains. What was answered, and why something was not.
    async fn ask(
        &self,
        asking: &mut Questions,
        questions: &[Question],
    ) -> (Vec<(Question, U256)>, Option<RpcError>) {
        let (mut answered, mut failed) = (Vec::new(), None);
        for (governor, (address, link)) in &self.governors {
            for is_time in [false, true] {
                let wanted = questions.iter().filter(|question| question.governor == *governor);
                let is_time_of = |asked: Asked| matches!(asked, Asked::BlockTime { .. });
                let wanted: Vec<&Question> =
                    wanted.filter(|question| is_time_of(question.asked) == is_time).collect();
                let asks: Vec<(U256, Asked)> =
                    wanted.iter().map(|question| (question.proposal_id, question.asked)).collect();
                let asked = asking.asking.entry((governor.clone(), is_time)).or_default();
                let call = async |proposal, asked| match asked {
                    Asked::BlockTime { block } => {
                        let header = Box::pin(link.block(BlockNumberOrTag::Number(block))).await?;
                        Ok(U256::from(header.block.time))
                    }
                    Asked::Governor(ask) => {
                        Box::pin(answer(link, governor, *address, (proposal, ask))).await
                    }
                };
                let answers = asked.ask(&asks, Instant::now, call).await;
                for (proposal, why) in answers.refused {
                    let set = self.set.id();
                    tracing::warn!(
                        rule_set = %set, %governor, %proposal, "waits for what is not to be had: {why}"
                    );
                    asking.refused = Some(why);
                }
                let of = |proposal: U256| {
                    wanted.iter().find(|question| question.proposal_id == proposal)
                };
                let learned = answers.learned.into_iter();
                answered.extend(
                    learned
                        .filter_map(|(proposal, answer)| Some(((*of(proposal)?).clone(), answer))),
                );
                failed = failed.or(answers.failed);
            }
        }
        (answered, failed)
    }
}

fn meaning(emission: &Emission<Unlock>) -> (&Unlock, UnlockState) {
    let (unlock, is_said) = match &emission.emitted {
        Emitted::Says(unlock) => (unlock, true),
        Emitted::TakesBack(unlock) => (unlock, false),
    };
    match is_said == unlock.lapsed.is_none() {
        true => (unlock, UnlockState::Requested),
        false => (unlock, UnlockState::Retracted),
    }
}

/// What is said of an emission.
fn said_of(emission: &Emission<Unlock>) -> UnlockMessage {
    let (unlock, state) = meaning(emission);
    let lapse = unlock.lapsed.as_deref().filter(|_| state == UnlockState::Retracted);
    UnlockMessage {
        state,
        request: (*unlock.request).clone(),
        transaction_hash: None,
        code: lapse.map(|_| LAPSED.to_owned()),
        reason: lapse.map(Lapse::to_string),
    }
}

/// What is to be kept of a word.
fn kept(message: &UnlockMessage) -> Keep {
    Keep {
        key: message.request.id.0.to_vec(),
        // Plain data: it serialises to memory.
        said: serde_json::to_vec(message).unwrap_or_default(),
        holds: message.state == UnlockState::Requested,
    }
}

/// The code of a retraction of what was lost and not orphaned.
const LAPSED: &str = "lapsed";
/// The code of a retraction of what a changed set does not give any more.
const CHANGED: &str = "rule_changed";

impl Receives<Explain> for RuleSetActor {
    fn receive(&mut self, message: Explain) -> Option<Json> {
        let open = self.open.as_ref()?;
        let set = &self.folding.set;
        let Explain { achievement, user } = message;
        let now = open.engine.applied_time();
        let explained = set.explain(open.engine.state(), achievement.as_str(), user, now);
        Some(match explained {
            Ok(explanation) => json!(explanation),
            Err(unknown) => json!({ "error": unknown.to_string() }),
        })
    }
}
