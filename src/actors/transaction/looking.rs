//! Where our attempts are, as the chain's endpoints see them.
//!
//! The answers of one look come from one endpoint, or they would contradict
//! each other whenever one lags: a nonce that is used here and a receipt that
//! is missing there look like a foreign transaction. What is deep enough is
//! believed when a second endpoint says the same, or where there is none, when
//! the block's logs do.

use std::{sync::Arc, time::Duration};

use alloy::{primitives::B256, rpc::types::Log};
use tokio::time::Instant;

use super::{Seen, TransactionActor};
use crate::{
    actors::shared::Place,
    chain::{
        client::{ChainClient, FullReceipt},
        rpc::RpcError,
    },
    domain::{BlockRef, UnlockId},
    signing::{
        ledger::{AttemptKind, Execution, Mined, Outcome},
        lifecycle::{Heads, Input, Lookup, Receipt},
    },
    teeth::{Tooth, is_planted},
};

/// Looked at again after so long, whatever the head: a pool may have dropped it.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

impl TransactionActor {
    /// The head that the daemon follows.
    fn followed(&self) -> Option<B256> {
        self.spec.link.view.borrow().as_ref().map(|view| view.latest.hash)
    }

    /// Whether a look may find anything that the last one did not.
    pub(super) fn is_due(&self) -> bool {
        let Some((followed, at)) = self.looked else { return true };
        followed.is_none() || followed != self.followed() || at.elapsed() >= LOOK_AGAIN
    }

    /// Looks, and remembers at which head that was.
    pub(super) async fn look(&mut self, hashes: &[B256]) -> Option<Input> {
        let (followed, at) = (self.followed(), Instant::now());
        match self.look_up(hashes).await {
            Ok(input) => {
                self.trouble = None;
                self.looked = Some((followed, at));
                Some(input)
            }
            Err(error) => {
                self.trouble = Some(error.to_string());
                None
            }
        }
    }

    /// Asks one endpoint where our attempts are, the next one when it fails.
    async fn look_up(&mut self, hashes: &[B256]) -> Result<Input, RpcError> {
        let all = self.spec.link.client.singly();
        let mut failure = None;
        for (rank, client) in all.iter().enumerate() {
            let others = all.iter().enumerate().filter(|(other, _)| *other != rank);
            let others: Vec<&ChainClient> = others.map(|(_, client)| client).collect();
            // Ranks change with health: what was heard is kept by the endpoint.
            let place = client.endpoint().unwrap_or(usize::MAX);
            match self.look_up_at(place, client, &others, hashes).await {
                Ok(input) if self.looks_foreign(&input) => {
                    // Only what is asked in this very order may say so.
                    self.spec.sightings.forget_head(place);
                    match self.look_up_at(place, client, &others, hashes).await {
                        Ok(input) if self.looks_foreign(&input) => {
                            let Some(hash) = found_by(&others, hashes).await else {
                                return Ok(input);
                            };
                            failure = Some(self.unproven(&input, hash));
                        }
                        Ok(input) => return Ok(input),
                        Err(error) => failure = Some(error),
                    }
                }
                Ok(input) => return Ok(input),
                Err(error) => failure = Some(error),
            }
        }
        let nobody = || RpcError::NoEndpoint { chain: self.spec.link.name.to_string() };
        Err(failure.unwrap_or_else(nobody))
    }

    /// Whether the nonce seems to be used, and not by us.
    fn looks_foreign(&self, input: &Input) -> bool {
        let Input::LookedUp { latest_nonce, found, .. } = input else { return false };
        *latest_nonce > self.spec.record.borrow().nonce && !matches!(found, Lookup::Mined(_))
    }

    fn unproven(&self, input: &Input, hash: B256) -> RpcError {
        let Input::LookedUp { heads, .. } = input else {
            return RpcError::NoEndpoint { chain: self.spec.link.name.to_string() };
        };
        RpcError::Unproven {
            chain: self.spec.link.name.as_str().into(),
            block: heads.head,
            reason: format!("another endpoint has a receipt of {hash}"),
        }
    }

    /// The count of nonces comes first: when it has passed ours before the
    /// receipts are looked at, a missing receipt is no race.
    async fn look_up_at(
        &mut self,
        place: usize,
        client: &ChainClient,
        others: &[&ChainClient],
        hashes: &[B256],
    ) -> Result<Input, RpcError> {
        let (followed, from) = (self.followed(), self.spec.from);
        let sightings = Arc::clone(&self.spec.sightings);
        let (head, latest_nonce) = sightings.at(place, client, from, followed).await?;
        let confirmed = (head + 1).saturating_sub(self.spec.confirmations);
        let heads = Heads { head, confirmed };
        // What would be final is asked for again: the endpoint's head may be on
        // another branch than the one that is followed.
        if let Some(told) = self.still_there().filter(|told| told.block.number > confirmed) {
            return Ok(Input::LookedUp { heads, latest_nonce, found: Lookup::Mined(told) });
        }
        let mut found = Lookup::Unknown;
        let mut elsewhere = None;
        for hash in hashes {
            if let Some(receipt) = client.receipt(*hash).await? {
                elsewhere = elsewhere.or(receipt.receipt.block_number);
                if let Some(told) = self.believe(place, client, receipt).await? {
                    if told.block.number <= confirmed {
                        self.second(place, client, others, told).await?;
                    }
                    found = Lookup::Mined(told);
                    break;
                }
            } else if found == Lookup::Unknown && client.knows_transaction(*hash).await? {
                found = Lookup::Pending;
            }
        }
        match elsewhere.filter(|_| !matches!(found, Lookup::Mined(_))) {
            // The endpoint's nonces are those of that branch, too.
            Some(block) => {
                let reason = "the receipt is of a branch that is not followed".to_owned();
                Err(RpcError::Unproven {
                    chain: self.spec.link.name.as_str().into(),
                    block,
                    reason,
                })
            }
            None => Ok(Input::LookedUp { heads, latest_nonce, found }),
        }
    }

    /// The receipt that was believed, while its block is on the branch that the
    /// daemon follows: its hash binds what is in it, so nothing is to be asked.
    fn still_there(&self) -> Option<Receipt> {
        let Seen { mined, .. } = self.seen.as_ref()?;
        let view = self.spec.link.view.borrow();
        let view = view.as_ref().filter(|view| view.frozen.is_none())?;
        let header = view.header(mined.block.number)?;
        let success = matches!(mined.execution, Execution::Succeeded { .. });
        let receipt = Receipt { hash: mined.hash, block: mined.block, success };
        (header.hash == mined.block.hash).then_some(receipt)
    }

    /// A receipt counts when its block is on the chain that the daemon
    /// follows. What it did to each item is read before the machine hears of
    /// it, so that a report is never made without.
    ///
    /// # Errors
    /// `Unproven`, when another endpoint told it otherwise before.
    async fn believe(
        &mut self,
        place: usize,
        client: &ChainClient,
        FullReceipt { receipt: found, l1_fee }: FullReceipt,
    ) -> Result<Option<Receipt>, RpcError> {
        let (Some(number), Some(hash)) = (found.block_number, found.block_hash) else {
            return Ok(None);
        };
        // The branch that the daemon follows, as far as it is in view.
        let seen = self.spec.link.view.borrow().as_ref().and_then(|v| v.header(number).copied());
        let block = match seen {
            Some(block) => block,
            None => match client.header(number.into()).await? {
                Some(header) => header.block,
                None => return Ok(None),
            },
        };
        if block.hash != hash {
            return Ok(None);
        }
        let receipt = Receipt { hash: found.transaction_hash, block, success: found.status() };
        let known = |seen: &&Seen| seen.mined.hash == receipt.hash && seen.mined.block == block;
        match self.seen.as_ref().filter(known) {
            Some(seen) if seen.told_by == place => {}
            // Whoever comes later is its second, not one more who may repeat it.
            Some(_) if self.says_the_same(&receipt, found.logs()) => self.seconded = Some(receipt),
            Some(_) => return Err(self.doubt(receipt, "another endpoint").await),
            None => {
                let execution = if receipt.success {
                    Execution::Succeeded { outcomes: self.outcomes(receipt.hash, found.logs()) }
                } else {
                    self.why_reverted(block).await?
                };
                let mined = Mined { hash: receipt.hash, block, execution };
                let l1_fee = l1_fee.unwrap_or_default();
                let (gas_used, price) = (found.gas_used, found.effective_gas_price);
                self.seen = Some(Seen { told_by: place, mined, gas_used, price, l1_fee });
            }
        }
        Ok(Some(receipt))
    }

    /// Asks somebody else about a receipt that would be final: another endpoint,
    /// or where there is none, the logs of its block.
    ///
    /// # Errors
    /// `Unproven`, when they say otherwise: the next endpoint is asked then.
    async fn second(
        &mut self,
        place: usize,
        client: &ChainClient,
        others: &[&ChainClient],
        told: Receipt,
    ) -> Result<(), RpcError> {
        if self.seconded == Some(told) || is_planted(Tooth::OneWordIsEnough) {
            return Ok(());
        }
        let mut contradicted = false;
        for other in others {
            let receipt = match other.receipt(told.hash).await {
                Ok(Some(FullReceipt { receipt, .. })) => receipt,
                // One that is on another branch contradicts; one that has not got so far, or
                // is away, says nothing.
                Ok(None) => {
                    let theirs = other.header(told.block.number.into()).await;
                    let theirs = theirs.ok().flatten().map(|header| header.block.hash);
                    contradicted |= theirs.is_some_and(|hash| hash != told.block.hash);
                    continue;
                }
                Err(_) => continue,
            };
            let theirs = Receipt { success: receipt.status(), ..told };
            let same = receipt.block_hash == Some(told.block.hash)
                && self.says_the_same(&theirs, receipt.logs());
            if same {
                self.seconded = Some(told);
                return Ok(());
            }
            contradicted = true;
        }
        if !contradicted {
            let (sightings, contract) = (Arc::clone(&self.spec.sightings), self.spec.contract);
            let all = sightings.logs(place, client, told.block.hash, contract).await?;
            let own = all.iter().filter(|log| log.transaction_hash == Some(told.hash));
            let logs: Vec<Log> = own.cloned().collect();
            let same =
                if told.success { self.says_the_same(&told, &logs) } else { logs.is_empty() };
            if same {
                self.seconded = Some(told);
                return Ok(());
            }
        }
        let against = if contradicted { "another endpoint" } else { "the logs of its block" };
        Err(self.doubt(told, against).await)
    }

    /// A receipt is contradicted: whoever is asked next is heard afresh.
    async fn doubt(&mut self, told: Receipt, against: &str) -> RpcError {
        self.seen = None;
        self.seconded = None;
        self.spec.sightings.forget(told.block.hash).await;
        RpcError::Unproven {
            chain: self.spec.link.name.as_str().into(),
            block: told.block.number,
            reason: format!("{against} contradicts the receipt of {}", told.hash),
        }
    }

    /// Whether a receipt with these logs says of our items what we heard first.
    fn says_the_same(&self, receipt: &Receipt, logs: &[Log]) -> bool {
        let Some(Seen { mined, .. }) = &self.seen else { return false };
        match &mined.execution {
            Execution::Succeeded { outcomes } => {
                receipt.success && self.outcomes(mined.hash, logs) == *outcomes
            }
            Execution::Reverted { .. } => !receipt.success,
        }
    }

    /// What an attempt that succeeded did: an empty one nothing.
    fn outcomes(&self, hash: B256, logs: &[Log]) -> Vec<(UnlockId, Outcome)> {
        let record = self.spec.record.borrow();
        let attempt = record.attempt(hash).filter(|it| it.kind == AttemptKind::Effect);
        let effect = attempt.and_then(|_| record.purpose.effect());
        let logs = logs.iter().map(|log| &log.inner);
        self.spec.calls.outcomes(self.spec.contract, &self.spec.items, effect, logs)
    }

    /// Runs the call again on the block before, where the revert's data is had.
    async fn why_reverted(&self, block: BlockRef) -> Result<Execution, RpcError> {
        let call = self.spec.record.borrow().call.clone();
        let at = Place::named(block.number.saturating_sub(1), block.parent_hash);
        let again = self.spec.link.call(Some(self.spec.from), call.to, &call.calldata, at).await;
        let revert = match again {
            // It runs through on the block before: what ran in between decides.
            Ok(_) => self.spec.decoder.explain("", None),
            Err(error) => match error.semantic() {
                Some(refusal) => self.spec.decoder.explain(&refusal.message, refusal.data.as_ref()),
                None => return Err(error),
            },
        };
        Ok(Execution::Reverted { code: revert.code, reason: revert.text })
    }
}

/// Which of our attempts another endpoint has a receipt of: then nobody else has used
/// the nonce, whoever hides it.
async fn found_by(others: &[&ChainClient], hashes: &[B256]) -> Option<B256> {
    if is_planted(Tooth::OneWordIsEnough) {
        return None;
    }
    for other in others {
        for hash in hashes {
            // One that is away says nothing.
            if let Ok(Some(_)) = other.receipt(*hash).await {
                return Some(*hash);
            }
        }
    }
    None
}
