//! A script as it is played: what becomes of one call.

use std::sync::Mutex;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::{Value as Json, json};
use tokio::time::Duration;

use super::{
    Batches, Cap, Fault, Reach, Refusal, Script,
    call::{Call, hex},
    editing::{Editing, commitments},
    forger::{Forger, Named},
    lag::Lagged,
    upstream::Upstream,
    when::Turn,
};

pub(super) struct Acting {
    script: Script,
    forger: Option<Forger>,
    faults: Mutex<Vec<Turn>>,
    refusals: Mutex<Vec<Turn>>,
    chance: Mutex<StdRng>,
}

/// A fault with what was drawn for it.
pub(super) enum Due {
    Delay(Duration),
    Fault(Fault),
}

impl Acting {
    pub fn new(script: Script) -> Self {
        // Rules draw from generators of their own: what one does must not
        // depend on how often another was asked.
        let mut seeds = StdRng::seed_from_u64(script.seed);
        let mut turn = |when| Turn::new(when, seeds.random());
        let faults: Vec<_> = script.faults.iter().map(|(when, _)| turn(when)).collect();
        let refusals: Vec<_> = script.refusals.iter().map(|(when, _)| turn(when)).collect();
        Self {
            faults: Mutex::new(faults),
            refusals: Mutex::new(refusals),
            forger: script.branch.clone().map(Forger::new),
            chance: Mutex::new(seeds),
            script,
        }
    }

    /// What goes wrong with a request of these calls, in order, down to what
    /// ends it.
    pub fn due(&self, calls: &[Call]) -> Vec<Due> {
        let mut turns = self.faults.lock().unwrap();
        let mut due = Vec::new();
        for (turn, (_, fault)) in turns.iter_mut().zip(&self.script.faults) {
            if !turn.fires(calls.iter().flat_map(Call::names)) {
                continue;
            }
            match fault {
                Fault::Delay(ms) => {
                    let ms = turn.chance.random_range(ms.clone());
                    due.push(Due::Delay(Duration::from_millis(ms)));
                }
                Fault::Hang => due.push(Due::Fault(Fault::Hang)),
                ends => {
                    due.push(Due::Fault(ends.clone()));
                    break;
                }
            }
        }
        due
    }

    /// Why a batch of so many calls is refused, if it is.
    pub fn refuses_batch(&self, calls: usize) -> Option<Refusal> {
        match &self.script.batches {
            Batches::Refused { most, refusal } if calls > *most => Some(refusal.clone()),
            _ => None,
        }
    }

    /// Puts a batch's answers into the order that they are given in.
    pub fn arrange(&self, answers: &mut [Json]) {
        if matches!(self.script.batches, Batches::Shuffled) {
            answers.shuffle(&mut *self.chance.lock().unwrap());
        }
    }

    /// The result of one call, or the error.
    pub async fn answer(&self, call: &Call, node: &Upstream) -> Result<Json, Refusal> {
        if let Some(refusal) = self.refused(call) {
            return Err(refusal);
        }
        match (self.script.chain_id, call.method.as_str()) {
            (Some(id), "eth_chainId") => return Ok(hex(id)),
            (Some(id), "net_version") => return Ok(json!(id.to_string())),
            _ => {}
        }
        self.check_caps(call, node).await?;
        let answer = self.changed(call, node).await?;
        self.check_density(call, &answer, node).await?;
        Ok(answer)
    }

    fn refused(&self, call: &Call) -> Option<Refusal> {
        let mut turns = self.refusals.lock().unwrap();
        let mut rules = turns.iter_mut().zip(&self.script.refusals);
        rules.find_map(|(turn, (_, refusal))| turn.fires(call.names()).then(|| refusal.clone()))
    }

    async fn check_caps(&self, call: &Call, node: &Upstream) -> Result<(), Refusal> {
        let Some(filter) = call.filter().filter(|_| !self.script.caps.is_empty()) else {
            return Ok(());
        };
        let range = node.range(&filter, 0).await?;
        self.script.caps.iter().find_map(|cap| cap.refuses(&filter, range)).map_or(Ok(()), Err)
    }

    async fn check_density(
        &self,
        call: &Call,
        answer: &Json,
        node: &Upstream,
    ) -> Result<(), Refusal> {
        let dense = self.script.caps.iter().any(|cap| matches!(cap, Cap::Logs { .. }));
        let Some(filter) = call.filter().filter(|_| dense) else { return Ok(()) };
        let range = node.range(&filter, 0).await?.unwrap_or_default();
        let mut caps = self.script.caps.iter();
        caps.find_map(|cap| cap.refuses_answer(answer, range)).map_or(Ok(()), Err)
    }

    /// The node's answer as the script's lag, branch and lies make it.
    async fn changed(&self, call: &Call, node: &Upstream) -> Result<Json, Refusal> {
        let mut call = call.clone();
        let named = match &self.forger {
            Some(forger) => forger.translate(&mut call, node).await?,
            None => Named::Openly,
        };
        if named == Named::Hidden {
            return if call.gets_block() { Ok(Json::Null) } else { Err(Refusal::unknown_block()) };
        }
        let answer = match &self.script.lag {
            Some(lag) => match lag.look(call.clone(), node).await? {
                Lagged::Answer(answer) => answer,
                Lagged::Ask(changed) => {
                    call = changed;
                    node.ask(&call).await?
                }
            },
            None => node.ask(&call).await?,
        };
        let mut answer = self.edited(&call, answer, node).await?;
        if let Some(forger) = &self.forger {
            forger.rewrite(&call, named, &mut answer, node).await?;
        }
        Ok(answer)
    }

    /// The answer with other logs. Hashes are still the node's.
    async fn edited(&self, call: &Call, answer: Json, node: &Upstream) -> Result<Json, Refusal> {
        if answer.is_null() {
            return Ok(answer);
        }
        match call.method.as_str() {
            "eth_getLogs" => {
                let editing = self.editing(Reach::Logs, node);
                let Some(filter) = call.filter().filter(|_| !editing.is_empty()) else {
                    return Ok(answer);
                };
                let range = node.range(&filter, 0).await?;
                editing.logs(&filter, range, answer).await
            }
            "eth_getBlockReceipts" => {
                let editing = self.editing(Reach::Receipts, node);
                if editing.is_empty() {
                    return Ok(answer);
                }
                let block = match call.block_hash() {
                    Some(hash) => node.block(hash).await?,
                    None => node.block_at(call.block().unwrap_or_default()).await?,
                };
                let receipts = answer.as_array().cloned().unwrap_or_default();
                Ok(editing.receipts(&block, receipts).into())
            }
            "eth_getTransactionReceipt" => {
                let answer = match self.script.receipts {
                    Some(lie) => lie.tell(answer),
                    None => answer,
                };
                let editing = self.editing(Reach::Receipts, node);
                let hash = serde_json::from_value(answer["blockHash"].clone()).ok();
                let Some(hash) = hash.filter(|_| !editing.is_empty()) else { return Ok(answer) };
                let receipts = node.receipts(hash).await?;
                let receipts = editing.receipts(&node.block(hash).await?, receipts);
                let wanted = &answer["transactionHash"];
                let found = receipts.into_iter().find(|other| other["transactionHash"] == *wanted);
                Ok(found.unwrap_or(answer))
            }
            "eth_getBlockByNumber" | "eth_getBlockByHash" if self.lies_in_blooms() => {
                let hash = serde_json::from_value(answer["hash"].clone()).unwrap();
                let editing = self.editing(Reach::Bloom, node);
                let receipts = editing.receipts(&answer, node.receipts(hash).await?);
                let mut block = answer;
                block["logsBloom"] = json!(commitments(&receipts).0);
                Ok(block)
            }
            _ => Ok(answer),
        }
    }

    fn lies_in_blooms(&self) -> bool {
        self.script.lies.iter().any(|(_, reach)| *reach == Reach::Bloom)
    }

    /// The branch's edits, and the lies that reach as far.
    fn editing<'a>(&'a self, reach: Reach, node: &'a Upstream) -> Editing<'a> {
        let lies = self.script.lies.iter().filter(|(_, its)| *its >= reach).map(|(edit, _)| edit);
        let editing = Editing::new(node);
        match self.forger.as_ref().map(Forger::branch) {
            Some(branch) => editing.add(branch.from, &branch.edits),
            None => editing,
        }
        .add(0, lies)
    }
}
