//! Why an achievement was given, so that anybody can check it: the file that
//! `meritd explain --with-inclusion-proofs` writes and `meritd verify-evidence`
//! reads.
//!
//! A file proves, to somebody who trusts the hashes of the blocks that it names and
//! nothing else, that their transactions emitted these logs, and that what landed
//! commits to them. It does not prove what the logs are called, whom they are about,
//! and that the rule gives the achievement for these logs: that is what a rule set of this version says of the whole of history, see
//! `meritd backtest`.
//!
//! Pure: whether the blocks are the chain's is for the reader's own node to say.

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::eip2718::Decodable2718 as _,
    primitives::{Address, B256, Log, U256},
};
use serde::{Deserialize, Serialize};

use crate::{
    chain::proof::Inclusion,
    domain::{
        EventId, Evidence, EvidenceItem, Name, UnlockId,
        unlock::{checksummed, decimal},
    },
    signing::calls,
};

/// What the file says it is.
pub const FORMAT: &str = "meritd evidence 1";

/// An achievement of a user with all that speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// [`FORMAT`].
    pub format: String,
    /// The achievement's name.
    pub achievement: Name,
    /// Its id in its contract.
    #[serde(with = "decimal")]
    pub achievement_id: U256,
    /// EIP-155 id of the contract's chain.
    pub chain_id: u64,
    /// The contract that keeps it.
    #[serde(with = "checksummed")]
    pub contract: Address,
    /// Whose it is.
    #[serde(with = "checksummed")]
    pub user: Address,
    /// The effect: see [`UnlockId`].
    pub unlock: UnlockId,
    /// The rule set's version, how many logs counted, and the latest of them.
    pub evidence: Evidence,
    /// What goes on chain for all that.
    pub commitment: B256,
    /// The transaction that landed it, if there is one.
    pub landing: Option<Landing>,
    /// Of each log of the evidence, in its order.
    pub proofs: Vec<LogProof>,
}

/// A landing, and that it is on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landing {
    /// Number of its block.
    pub block: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// The transaction.
    pub transaction_hash: B256,
    /// That it is in this block.
    pub proof: Proof,
}

/// That a transaction is in its block, or why that is not proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It is.
    Included(Inclusion),
    /// Nothing proves it: why.
    Unproven(String),
}

impl Proof {
    /// What the transaction emitted.
    fn logs(&self, block: u64, block_hash: B256, transaction: B256) -> Result<Vec<Log>, String> {
        match self {
            Self::Included(inclusion) => {
                inclusion.logs(block, block_hash, transaction).map_err(|flaw| flaw.to_string())
            }
            Self::Unproven(why) => Err(format!("not proven: {why}")),
        }
    }

    fn call(&self) -> &[u8] {
        match self {
            Self::Included(inclusion) => &inclusion.transaction,
            Self::Unproven(_) => &[],
        }
    }
}

/// A log, and that it is on chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProof {
    /// The contract that emitted it.
    #[serde(with = "checksummed")]
    pub address: Address,
    /// Which of its transaction's logs it is, from 0.
    pub place: u64,
    /// That its transaction is in its block.
    pub proof: Proof,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What should be so.
    pub claim: String,
    /// Why it is not; `None` when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
    /// The block that it stands on, by chain, number and hash: whoever has a node can
    /// ask it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<(u64, u64, B256)>,
}

impl EvidenceFile {
    /// Checks all that the file itself can prove.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = vec![
            self.finding("the file is of a known format", || match self.format == FORMAT {
                true => Ok(()),
                false => Err(format!("it is `{}`; this program reads `{FORMAT}`", self.format)),
            }),
            self.finding("the unlock is of this achievement and user", || {
                let id = UnlockId::of(self.chain_id, self.contract, self.achievement_id, self.user);
                same("the effect's id", self.unlock.0, id.0)
            }),
            self.finding("the commitment is that of the rule version and the logs", || {
                same("the commitment", self.commitment, self.evidence.commitment())
            }),
            self.finding("each log that is named has a proof", || {
                let (logs, proofs) = (self.evidence.items.len(), self.proofs.len());
                if logs == proofs && logs > 0 {
                    Ok(())
                } else {
                    Err(format!("{logs} logs are named, with {proofs} proofs"))
                }
            }),
        ];
        findings.push(match &self.landing {
            Some(landing) => self.landed(landing),
            None => {
                self.finding("it landed on chain", || Err("the file names no landing".to_owned()))
            }
        });
        let logs = self.evidence.items.iter().zip(&self.proofs);
        findings.extend(logs.map(|(item, proof)| emitted(item, proof)));
        findings
    }

    fn finding(&self, claim: &str, check: impl FnOnce() -> Result<(), String>) -> Finding {
        Finding { claim: claim.to_owned(), flaw: check().err(), block: None }
    }

    /// What landed it gives it to the user, for the commitment.
    fn landed(&self, landing: &Landing) -> Finding {
        let Landing { block, block_hash, transaction_hash, proof } = landing;
        let check = || {
            let logs = proof.logs(*block, *block_hash, *transaction_hash)?;
            // By the reference contract's own event.
            let told = calls::proof_data(self.contract, self.user, self.achievement_id, &logs);
            if told.is_some_and(|told| told[..] == self.commitment[..]) {
                return Ok(());
            }
            self.is_called_for(proof.call())
        };
        Finding {
            claim: format!(
                "transaction {transaction_hash} in block {block} gives it to this user for this commitment"
            ),
            flaw: check().err(),
            block: Some((self.chain_id, *block, *block_hash)),
        }
    }

    /// A contract of one's own may tell nothing by an event: then the call itself must
    /// name user, id and commitment.
    fn is_called_for(&self, transaction: &[u8]) -> Result<(), String> {
        let call = TxEnvelope::decode_2718(&mut &*transaction)
            .map_err(|error| format!("the transaction can't be read: {error}"))?;
        if call.to() != Some(self.contract) {
            return Err("the contract does not say so, and was not called by it".to_owned());
        }
        let words: Vec<&[u8]> = call.input().get(4..).unwrap_or_default().chunks(32).collect();
        let id = self.achievement_id.to_be_bytes::<32>();
        let needed = [self.user.into_word().0, id, self.commitment.0];
        match needed.iter().all(|word| words.contains(&word.as_slice())) {
            true => Ok(()),
            false => Err("its call does not name user, achievement and commitment".to_owned()),
        }
    }
}

/// A log is what the file says.
fn emitted(item: &EvidenceItem, proof: &LogProof) -> Finding {
    let EvidenceItem { event, chain_id, contract, name, block, block_hash, .. } = item;
    let check = || {
        let id = EventId::of(*chain_id, *block_hash, item.transaction_hash, item.log_index);
        same("the event's id", event.0, id.0)?;
        let logs = proof.proof.logs(*block, *block_hash, item.transaction_hash)?;
        let place = usize::try_from(proof.place).unwrap_or(usize::MAX);
        let log = logs.get(place).ok_or_else(|| {
            format!(
                "its transaction emitted {} logs, not {}",
                logs.len(),
                proof.place.saturating_add(1)
            )
        })?;
        if log.address != proof.address {
            return Err(format!("{} emitted that log, not {}", log.address, proof.address));
        }
        // Logs before it in the block there may be, fewer than in its transaction not.
        if item.log_index < proof.place {
            return Err(format!(
                "log {} of a block can't be log {} of a transaction",
                item.log_index, proof.place
            ));
        }
        Ok(())
    };
    Finding {
        claim: format!(
            "{contract}.{name} is log {} of block {block}, emitted by {}",
            item.log_index, proof.address
        ),
        flaw: check().err(),
        block: Some((*chain_id, *block, *block_hash)),
    }
}

fn same(what: &str, told: B256, found: B256) -> Result<(), String> {
    if told == found { Ok(()) } else { Err(format!("{what} is {found}, not {told}")) }
}
