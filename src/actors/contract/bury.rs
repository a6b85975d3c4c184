//! Logs that become no event: dead letters, for which nothing waits.

use alloy::{primitives::U64, rpc::types::Log};
use serde_json::{Value as Json, json};

use super::{ContractActor, Trouble};
use crate::{chain::adapters::DecodeError, domain::Event, streams::PublishError};

/// Longest data of a log that its dead letter repeats, bytes.
const BURIED_DATA_MAX: usize = 64 << 10;

impl ContractActor {
    /// What can't be decoded is told, once, and does not stop the rest.
    pub(super) async fn bury(&self, log: &Log, error: &DecodeError) -> Result<(), Trouble> {
        let id = format!(
            "undecodable-{}-{}-{}",
            self.link.chain_id,
            log.block_hash.unwrap_or_default(),
            log.log_index.unwrap_or_default()
        );
        // What is too large for an event is too large for a dead letter.
        let origin = if log.data().data.len() <= BURIED_DATA_MAX {
            serde_json::to_value(log).unwrap_or_default()
        } else {
            json!({
                "transactionHash": log.transaction_hash,
                "blockHash": log.block_hash,
                "blockNumber": log.block_number.map(U64::from),
                "logIndex": log.log_index,
                "dataBytes": log.data().data.len(),
            })
        };
        self.shared.bury(&self.writer(), &id, &error.to_string(), origin).await?;
        Ok(())
    }

    /// An event that is larger than the broker takes is told, and nothing
    /// waits for it.
    pub(super) async fn bury_oversized(
        &self,
        event: &Event,
        error: &PublishError,
    ) -> Result<(), Trouble> {
        let (id, origin) = oversized(event);
        self.shared.bury(&self.writer(), &id, &error.to_string(), origin).await?;
        Ok(())
    }
}

/// The id and origin of an event's dead letter: where its log is, without what
/// it says.
fn oversized(event: &Event) -> (String, Json) {
    let (chain_id, log_index) = (event.origin.chain_id, event.position.log_index);
    let id = format!("oversized-{chain_id}-{}-{log_index}", event.block.hash);
    let origin = json!({
        "transactionHash": event.origin.transaction_hash,
        "blockHash": event.block.hash,
        "blockNumber": U64::from(event.block.number),
        "logIndex": log_index,
        "event": event.id,
    });
    (id, origin)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::{Address, B256};

    use super::*;
    use crate::domain::{BlockRef, EventId, Name, Origin, Position};

    fn event(text: &str, log_index: u64) -> Event {
        let (chain_id, hash) = (31337, B256::repeat_byte(5));
        let block = BlockRef { number: 5, hash, parent_hash: B256::repeat_byte(4), time: 9 };
        let transaction_hash = B256::repeat_byte(7);
        Event {
            id: EventId::of(chain_id, hash, transaction_hash, log_index),
            origin: Origin { chain_id, transaction_hash, ordinal: log_index },
            chain: Name::new("local").unwrap(),
            contract: Name::new("dao").unwrap(),
            address: Address::ZERO,
            name: Name::new("proposal_created").unwrap(),
            position: Position { time: 9, chain_id, block: 5, transaction_index: 0, log_index },
            block,
            fields: [("description", json!(text))].into(),
        }
    }

    #[test]
    fn what_is_too_large_is_buried_by_its_origin_alone() {
        let text = "x".repeat(9 << 20);
        let (id, origin) = oversized(&event(&text, 1));
        assert_eq!(id, format!("oversized-31337-{}-1", B256::repeat_byte(5)));
        assert_eq!(origin["transactionHash"], json!(B256::repeat_byte(7)));
        assert_eq!(origin["logIndex"], json!(1));
        assert!(origin.to_string().len() < 500);
    }
}
