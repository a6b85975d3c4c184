//! Whether an unlock that landed commits to the evidence that is known of it,
//! and whether that evidence is on the chain.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, B256, Bytes, U256};
use serde_json::{Value as Json, json};

use crate::{
    actors::{
        outbox::owned_key,
        shared::{ChainLink, Shared},
    },
    api::ApiProblem,
    breakers::{Classify as _, FailureClass},
    chain::rpc::RpcError,
    config::Config,
    domain::{EventId, Evidence, EvidenceItem, Name, UnlockId, off_chain::is_off_chain},
    evidence::{self, EvidenceFile, Landing, LogProof, Proof},
    signing::{calls, item::Item, ledger::item_key},
    store::{StoreHandle, Table},
    streams::subjects::{Writer, WriterKind},
};

use super::Plan;

/// Knows which effect an achievement is, and where it is written down.
#[derive(Clone)]
pub(super) struct ProofDesk {
    store: StoreHandle,
    /// By EIP-155 id.
    chains: Arc<BTreeMap<u64, ChainLink>>,
    achievements: Arc<BTreeMap<Name, Kept>>,
}

/// Where an achievement is kept.
struct Kept {
    chain_id: u64,
    contract: Address,
    /// Of each time that it can be earned, in order.
    achievement_ids: Vec<U256>,
    signers: Vec<Name>,
    /// Whether the contract tells of the commitment by an event.
    tells: bool,
}

/// An unlock that a signer was asked for.
struct Found<'d> {
    kept: &'d Kept,
    id: UnlockId,
    achievement_id: U256,
    item: Item,
}

impl ProofDesk {
    pub(super) fn new(config: &Config, plan: &Plan, shared: &Shared) -> Self {
        let kept = plan.rule_sets.iter().flat_map(|set| {
            let contract = config.contract(set.achievements_contract());
            let chain = contract.and_then(|contract| config.chain(&contract.chain));
            let tells = plan
                .calls
                .get(set.achievements_contract())
                .is_none_or(|calls| calls.is_reference());
            set.achievements().iter().filter_map(move |achievement| {
                let kept = Kept {
                    chain_id: chain?.chain_id,
                    contract: contract?.address()?,
                    achievement_ids: (1..=achievement.cap())
                        .map(|time| achievement.id_of(time))
                        .collect(),
                    signers: achievement.signers.clone(),
                    tells,
                };
                Some((achievement.name.clone(), kept))
            })
        });
        let chains = shared.chains.values().map(|link| (link.chain_id, link.clone()));
        Self {
            store: shared.store.clone(),
            chains: Arc::new(chains.collect()),
            achievements: Arc::new(kept.collect()),
        }
    }

    pub(super) async fn prove(&self, achievement: &str, user: Address) -> Result<Json, ApiProblem> {
        let Found { kept, id, achievement_id, item } = self.found(achievement, user).await?;
        let evidence = item.request().evidence.clone();
        let commitment = evidence.commitment();
        let Some(landing) = item.landed else {
            let why = "it is not on the chain, or not deep enough yet";
            return Ok(shown(id, &evidence, commitment, &Landed::default(), &[], Some(why)));
        };
        let Some(hash) = landing.tx_hash else {
            let why = "it was on the chain before a transaction of ours";
            return Ok(shown(id, &evidence, commitment, &Landed::default(), &[], Some(why)));
        };
        let landed = self.landed(kept, (user, achievement_id), hash).await?;
        let mut logs = Vec::new();
        for item in &evidence.items {
            logs.push(self.is_there(item).await?);
        }
        Ok(shown(id, &evidence, commitment, &landed, &logs, None))
    }

    /// What speaks for an unlock, with proofs that it is on chain.
    pub(super) async fn evidence(
        &self,
        achievement: &str,
        user: Address,
    ) -> Result<Json, ApiProblem> {
        let Found { kept, id, achievement_id, item } = self.found(achievement, user).await?;
        let request = item.request();
        let evidence = request.evidence.clone();
        let landing = match item.landed.and_then(|landing| landing.tx_hash) {
            Some(hash) => self.landing(kept, hash).await?,
            None => None,
        };
        let mut proofs = Vec::new();
        for item in &evidence.items {
            proofs.push(self.log_proof(item).await?);
        }
        Ok(json!(EvidenceFile {
            format: evidence::FORMAT.to_owned(),
            achievement: request.achievement.clone(),
            achievement_id,
            chain_id: kept.chain_id,
            contract: kept.contract,
            user,
            unlock: id,
            commitment: evidence.commitment(),
            evidence,
            landing,
            proofs,
        }))
    }

    async fn landing(&self, kept: &Kept, hash: B256) -> Result<Option<Landing>, ApiProblem> {
        let Some(link) = self.chains.get(&kept.chain_id) else { return Ok(None) };
        let receipt = link.client.backfill().receipt(hash).await.map_err(unavailable)?;
        let place = receipt.and_then(|it| it.receipt.block_number.zip(it.receipt.block_hash));
        let Some((block, block_hash)) = place else { return Ok(None) };
        let proof = proof(link, block_hash, hash).await?;
        Ok(Some(Landing { block, block_hash, transaction_hash: hash, proof }))
    }

    async fn log_proof(&self, item: &EvidenceItem) -> Result<LogProof, ApiProblem> {
        let EvidenceItem { chain_id, block_hash, transaction_hash, log_index, .. } = item;
        let nowhere = |why: &str| LogProof {
            address: Address::ZERO,
            place: 0,
            proof: Proof::Unproven(why.to_owned()),
        };
        let Some(link) = self.chains.get(chain_id) else {
            return Ok(nowhere(match is_off_chain(*chain_id) {
                true => "it was said off chain, which no block proves",
                false => "its chain is not configured any more",
            }));
        };
        let receipt = link.client.backfill().receipt(*transaction_hash).await;
        let Some(found) = receipt.map_err(unavailable)? else {
            return Ok(nowhere("no endpoint knows its transaction (any more)"));
        };
        let mut logs = found.receipt.logs().iter().zip(0..);
        let Some((log, place)) = logs.find(|(log, _)| log.log_index == Some(*log_index)) else {
            return Ok(nowhere("its transaction has no such log (any more)"));
        };
        let proof = proof(link, *block_hash, *transaction_hash).await?;
        Ok(LogProof { address: log.address(), place, proof })
    }

    /// The achievement and the last time that a signer was asked for it.
    async fn found(&self, achievement: &str, user: Address) -> Result<Found<'_>, ApiProblem> {
        let kept = self.achievements.get(achievement).ok_or_else(|| {
            let known: Vec<&str> = self.achievements.keys().map(Name::as_str).collect();
            let asked: String = achievement.chars().take(Name::MAX_LEN).collect();
            let known = known.join(", ");
            ApiProblem::NotFound(format!("no rule set awards `{asked}`; known: {known}"))
        })?;
        // Of several times the last one that a signer was asked for.
        let mut last = None;
        for achievement_id in &kept.achievement_ids {
            let id = UnlockId::of(kept.chain_id, kept.contract, *achievement_id, user);
            match self.item(kept, id).await? {
                Some(item) => last = Some((id, *achievement_id, item)),
                None => break,
            }
        }
        let (id, achievement_id, item) = last.ok_or_else(|| {
            ApiProblem::NotFound(format!("no signer was asked for {achievement} of {user}"))
        })?;
        Ok(Found { kept, id, achievement_id, item })
    }

    /// The unlock in the books of the signer that landed it, or else of any.
    async fn item(&self, kept: &Kept, id: UnlockId) -> Result<Option<Item>, ApiProblem> {
        let mut found: Option<Item> = None;
        for signer in &kept.signers {
            let owner = Writer::new(WriterKind::Signer, signer.clone()).to_string();
            let key = owned_key(&owner, &item_key(id));
            let record = self.store.get(Table::Ledger, &key).await;
            let record = record.map_err(|error| ApiProblem::Unavailable(error.to_string()))?;
            let item: Option<Item> = record.and_then(|it| serde_json::from_slice(&it).ok());
            if item.is_some() && found.as_ref().is_none_or(|found| found.landed.is_none()) {
                found = item;
            }
        }
        Ok(found)
    }

    async fn landed(
        &self,
        kept: &Kept,
        (user, achievement_id): (Address, U256),
        hash: B256,
    ) -> Result<Landed, ApiProblem> {
        let Some(link) = self.chains.get(&kept.chain_id) else { return Ok(Landed::default()) };
        let client = link.client.backfill();
        let calldata = client.calldata(hash).await.map_err(unavailable)?;
        let receipt = client.receipt(hash).await.map_err(unavailable)?;
        let block = receipt.as_ref().and_then(|it| it.receipt.block_number);
        let logs = receipt.iter().flat_map(|it| it.receipt.logs()).map(|log| &log.inner);
        let told = calls::proof_data(kept.contract, user, achievement_id, logs);
        Ok(Landed { hash: Some(hash), block, calldata, told, tells: kept.tells })
    }

    /// Whether a log that counted is in its block; `None` when the endpoints do
    /// not know its transaction (any more).
    async fn is_there(&self, item: &EvidenceItem) -> Result<Option<bool>, ApiProblem> {
        let EvidenceItem { chain_id, block_hash, transaction_hash, log_index, .. } = item;
        if is_off_chain(*chain_id) {
            return Ok(None);
        }
        let id = EventId::of(*chain_id, *block_hash, *transaction_hash, *log_index);
        let Some(link) = self.chains.get(chain_id).filter(|_| id == item.event) else {
            return Ok(Some(false));
        };
        let client = link.client.backfill();
        let receipt = client.receipt(*transaction_hash).await.map_err(unavailable)?;
        Ok(receipt.map(|found| {
            let in_block = found.receipt.block_hash == Some(*block_hash);
            let mut logs = found.receipt.logs().iter();
            in_block && logs.any(|log| log.log_index == Some(*log_index))
        }))
    }
}

/// That a block has a transaction; why that can't be proven is told, and no failure.
async fn proof(link: &ChainLink, block: B256, transaction: B256) -> Result<Proof, ApiProblem> {
    match link.client.backfill().inclusion(block, transaction).await {
        Ok(inclusion) => Ok(Proof::Included(inclusion)),
        Err(RpcError::Unproven { reason, .. }) => Ok(Proof::Unproven(reason)),
        // They work, and have no such block (any more).
        Err(error) if error.class() == FailureClass::Answer => {
            Ok(Proof::Unproven(error.to_string()))
        }
        Err(error) => Err(unavailable(error)),
    }
}

fn unavailable(error: RpcError) -> ApiProblem {
    ApiProblem::Unavailable(error.to_string())
}

/// A rule set that changed, or whose logs were mined again in other blocks, tells
/// its evidence anew; what is on the chain stays.
const OTHER_EVIDENCE: &str = "it carries other evidence than the books have now: the rule set may \
                              have told it anew since it landed";

/// What the chain has of an unlock.
#[derive(Default)]
struct Landed {
    hash: Option<B256>,
    block: Option<u64>,
    calldata: Option<Bytes>,
    /// By the contract's event.
    told: Option<Bytes>,
    tells: bool,
}

impl Landed {
    /// Whether the transaction commits to it; `None` when the endpoints do not
    /// know it (any more).
    fn commits_to(&self, commitment: B256) -> Option<bool> {
        // Behind the selector are words.
        let mut words = self.calldata.as_ref()?.get(4..).unwrap_or_default().chunks(32);
        let in_calldata = words.any(|word| word == commitment.as_slice());
        let is_told = self.told.as_ref().is_some_and(|told| told[..] == commitment[..]);
        Some(in_calldata && (is_told || !self.tells))
    }
}

fn shown(
    id: UnlockId,
    evidence: &Evidence,
    commitment: B256,
    landed: &Landed,
    logs: &[Option<bool>],
    why: Option<&str>,
) -> Json {
    let commits = landed.commits_to(commitment);
    let logs: Vec<Json> = evidence
        .items
        .iter()
        .zip(logs)
        .map(|(item, is_there)| json!({ "log": item, "on_chain": is_there }))
        .collect();
    let all = logs.iter().all(|log| log.get("on_chain") == Some(&Json::Bool(true)));
    let why = why.or(match commits {
        Some(true) => None,
        Some(false) => Some(OTHER_EVIDENCE),
        None => Some("no endpoint knows its transaction (any more)"),
    });
    json!({
        "unlock": id,
        "rule_version": evidence.rule_version,
        "total": evidence.total,
        "commitment": commitment,
        "transaction_hash": landed.hash,
        "block": landed.block,
        // What the contract told.
        "proof_data": landed.told,
        "committed": commits,
        // Of many logs the evidence names the latest: what was looked at was there.
        "verified": commits == Some(true) && all && !logs.is_empty(),
        "why_not": why,
        "logs": logs,
    })
}
