//! Signing keys and their limits.

use std::{path::PathBuf, time::Duration};

use alloy::primitives::{Address, U256};

use super::{Config, ConfigError, Problem, SecretRef};
use crate::domain::Name;

/// One signing key and its limits.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Its name in rules, subjects and metrics.
    pub name: Name,
    /// The chain it signs for.
    pub chain: Name,
    /// Where its key is.
    pub key: SignerKeySource,
    /// Highest max fee per gas, wei.
    pub max_fee_per_gas: U256,
    /// Highest worst-case spending of one UTC day, wei.
    pub daily_budget: U256,
    /// Added to the node's gas estimate, percent; `None`: as receipts teach.
    pub gas_buffer_percent: Option<u32>,
    /// Added to the fee computed from fee history, percent.
    pub price_margin_percent: u32,
    /// Depth at which an own transaction counts as landed.
    pub confirmations: u64,
    /// Unlocks in one transaction.
    pub batch_max_items: usize,
    /// How long the first unlock of a batch waits for others.
    pub batch_max_wait: Duration,
    /// Transactions in flight at once.
    pub max_in_flight: usize,
    /// A transaction pending for so long is replaced by a dearer one.
    pub bump_after: Duration,
    /// A transaction that can't be outbid under the cap for so long is given up;
    /// `None`: it waits for fees to fall.
    pub give_up_after: Option<Duration>,
    /// How often what has landed is compared with the chain.
    pub reconcile_every: Duration,
}

/// Where a signing key is.
#[derive(Clone, Debug)]
pub enum SignerKeySource {
    /// A keystore v3 file and its passphrase.
    Keystore {
        /// The file.
        path: PathBuf,
        /// Its passphrase.
        passphrase: SecretRef,
    },
    /// A hex key from a variable or a file of its own.
    Raw(SecretRef),
    /// A key that a key management service keeps.
    Kms(KmsSource),
}

/// A key of a key management service.
#[derive(Clone, Debug)]
pub struct KmsSource {
    /// Whose.
    pub service: KmsService,
    /// As the service names it.
    pub key: String,
    /// The account that it must be.
    pub address: Address,
    /// Of AWS: the region, if not the environment's.
    pub region: Option<String>,
    /// URL of the service, if not the public one.
    pub endpoint: Option<String>,
}

/// Key management services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KmsService {
    /// AWS KMS.
    Aws,
    /// Google Cloud KMS.
    Gcp,
}

impl Config {
    /// Refuses keys that lie unencrypted in a variable or a file, but for
    /// development chains.
    ///
    /// # Errors
    /// All of them.
    pub fn require_sealed_keys(&self) -> Result<(), ConfigError> {
        let problem = |(i, signer): (usize, &Signer)| {
            let SignerKeySource::Raw(raw) = &signer.key else { return None };
            let chain = self.chain(&signer.chain).filter(|chain| !chain.is_development)?;
            Some(Problem {
                file: self.said_by("signers").to_owned(),
                key: format!("signers[{i}].key.raw"),
                value: Some(raw.to_string()),
                why: format!("an unencrypted key signs for chain `{}`", chain.name),
                remedy: "put it into a keystore (`meritd keys import`), or give --insecure".into(),
            })
        };
        let problems: Vec<Problem> = self.signers.iter().enumerate().filter_map(problem).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }
}
