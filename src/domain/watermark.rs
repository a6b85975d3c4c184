//! What contract actors say of their own progress.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::{BlockRef, Name};

/// Progress of one contract, in the same stream as its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Said")]
pub enum Watermark {
    /// All events of the contract up to and with `through` stand before this
    /// message in the stream.
    Progress {
        /// The chain's configured name.
        chain: Name,
        /// EIP-155 chain id.
        chain_id: u64,
        /// The contract's configured name.
        contract: Name,
        /// The last block that is complete.
        through: BlockRef,
        /// Blocks of this step that a reorg may still orphan, oldest first,
        /// `through` last. Consumers compare hashes of several contracts at one
        /// height by them; a reader restores its recent hashes from them.
        recent: Vec<BlockRef>,
        /// Blocks up to this number can't be orphaned any more: undo logs
        /// need not reach deeper.
        finalized: u64,
        /// How many events stand between the contract's watermark before and
        /// this one: by it a reader notices what the stream lost. Older
        /// versions did not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        events: Option<u64>,
        /// Their ids, each once, by exclusive or: others in their place are noticed by it.
        /// Older versions did not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<B256>,
        /// The block that the contract's watermark before named; absent on
        /// the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<BlockRef>,
    },
    /// Blocks from `from` on were orphaned: every event of the contract in
    /// them is void. The next progress starts after `common`.
    Retraction {
        /// The chain's configured name.
        chain: Name,
        /// EIP-155 chain id.
        chain_id: u64,
        /// The contract's configured name.
        contract: Name,
        /// First orphaned height.
        from: u64,
        /// Last orphaned height that had been announced.
        to: u64,
        /// The last block that the old and the new branch share.
        common: BlockRef,
        /// The block that the contract's watermark before named; absent where that was
        /// declared void, and in what older versions said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<BlockRef>,
    },
}

/// A watermark as it is read: its kind may stand behind the rest, which would be kept aside
/// until then if this were a choice, too. Most messages of a stream are watermarks.
#[derive(Deserialize)]
struct Said {
    kind: Kind,
    chain: Name,
    chain_id: u64,
    contract: Name,
    through: Option<BlockRef>,
    recent: Option<Vec<BlockRef>>,
    finalized: Option<u64>,
    events: Option<u64>,
    digest: Option<B256>,
    from: Option<u64>,
    to: Option<u64>,
    common: Option<BlockRef>,
    after: Option<BlockRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Progress,
    Retraction,
}

/// What watermarks of its kind have.
#[derive(Debug, thiserror::Error)]
#[error("missing field `{0}`")]
struct Missing(&'static str);

impl TryFrom<Said> for Watermark {
    type Error = Missing;

    fn try_from(said: Said) -> Result<Self, Missing> {
        let Said { chain, chain_id, contract, events, after, .. } = said;
        Ok(match said.kind {
            Kind::Progress => Self::Progress {
                chain,
                chain_id,
                contract,
                through: said.through.ok_or(Missing("through"))?,
                recent: said.recent.ok_or(Missing("recent"))?,
                finalized: said.finalized.ok_or(Missing("finalized"))?,
                events,
                digest: said.digest,
                after,
            },
            Kind::Retraction => Self::Retraction {
                chain,
                chain_id,
                contract,
                from: said.from.ok_or(Missing("from"))?,
                to: said.to.ok_or(Missing("to"))?,
                common: said.common.ok_or(Missing("common"))?,
                after,
            },
        })
    }
}

impl Watermark {
    /// The contract whose progress this is.
    #[must_use]
    pub fn contract(&self) -> &Name {
        match self {
            Self::Progress { contract, .. } | Self::Retraction { contract, .. } => contract,
        }
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        match self {
            Self::Progress { chain_id, .. } | Self::Retraction { chain_id, .. } => *chain_id,
        }
    }

    /// The block up to which the contract is complete after this message.
    #[must_use]
    pub fn complete_through(&self) -> &BlockRef {
        match self {
            Self::Progress { through, .. } => through,
            Self::Retraction { common, .. } => common,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value as Json, json};

    use super::*;

    fn block(number: u64) -> BlockRef {
        let hash = B256::repeat_byte(7);
        BlockRef { number, hash, parent_hash: B256::ZERO, time: number }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_refused_where_it_lacks_something() {
        let name = |text: &str| Name::new(text).unwrap();
        let (chain, chain_id, contract) = (name("c"), 1, name("dao"));
        let progress = Watermark::Progress {
            chain: chain.clone(),
            chain_id,
            contract: contract.clone(),
            through: block(9),
            recent: vec![block(8), block(9)],
            finalized: 5,
            events: Some(1),
            digest: Some(B256::repeat_byte(3)),
            after: Some(block(7)),
        };
        let (from, to, common, after) = (8, 9, block(7), None);
        let retraction =
            Watermark::Retraction { chain, chain_id, contract, from, to, common, after };
        for (watermark, lacking) in [(progress, "through"), (retraction, "common")] {
            let mut said: Json = json!(watermark);
            assert_eq!(serde_json::from_value::<Watermark>(said.clone()).unwrap(), watermark);
            said.as_object_mut().unwrap().remove(lacking);
            let error = serde_json::from_value::<Watermark>(said).unwrap_err();
            assert_eq!(error.to_string(), format!("missing field `{lacking}`"));
        }
    }
}
