//! An endpoint's logs of a block, held against those that are proved.

use alloy::rpc::types::Log;

use super::difference::{Difference, Kind};
use crate::{
    chain::proof::{Lie, NotProven, Unprovable, compare},
    domain::Name,
};

/// What is false in an answer; both are of one block, in order.
///
/// # Errors
/// When the chain has logs that no receipts prove.
pub(super) fn judge(
    contract: &Name,
    proven: &[Log],
    mut answered: Vec<Log>,
) -> Result<Vec<Difference>, Unprovable> {
    let mut found = Vec::new();
    // Each turn mends what it names.
    loop {
        let lie = match compare(proven, &answered) {
            Ok(()) => return Ok(found),
            Err(NotProven::Unprovable(why)) => return Err(why),
            Err(NotProven::Lie(lie)) => lie,
        };
        let at = |log: &Log, index: u64| log.log_index == Some(index);
        let real = |index: u64| proven.iter().find(|log| at(log, index));
        let (kind, log_index) = match &lie {
            Lie::WithheldLog { log_index, .. } => (Kind::Withheld, Some(*log_index)),
            Lie::InventedLog { log_index, .. } | Lie::AlteredLog { log_index, .. } => {
                (Kind::Lie, Some(*log_index))
            }
            _ => (Kind::Lie, None),
        };
        let block = proven.first().or_else(|| answered.first()).and_then(|log| log.block_number);
        let transaction = log_index.and_then(real).and_then(|log| log.transaction_hash);
        found.push(Difference {
            kind,
            contract: Some(contract.clone()),
            block: block.unwrap_or_default(),
            transaction,
            log_index,
            event: None,
            detail: format!("eth_getLogs: {lie}"),
        });
        let Some(index) = log_index else { return Ok(found) };
        answered.retain(|log| !at(log, index));
        answered.extend(real(index).cloned());
        answered.sort_by_key(|log| log.log_index);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::{B256, U256};

    use super::*;
    use crate::chain::{
        answers::LogFilter,
        proof::{FullHeader, Receipt, prove},
    };

    /// The logs of a real block of Ethereum, as its receipts prove them.
    fn proven() -> Vec<Log> {
        const BLOCK: &str =
            include_str!("../../../tests/fixtures/blocks/ethereum-4369999-block.json");
        const RECEIPTS: &str =
            include_str!("../../../tests/fixtures/blocks/ethereum-4369999-receipts.json");
        let header: FullHeader = serde_json::from_str(BLOCK).unwrap();
        let receipts: Vec<Receipt> = serde_json::from_str(RECEIPTS).unwrap();
        prove(&header, receipts).unwrap().logs(&LogFilter::default())
    }

    fn judged(change: impl FnOnce(&mut Vec<Log>)) -> Vec<(Kind, Option<u64>)> {
        let (proven, mut answered) = (proven(), proven());
        change(&mut answered);
        let found = judge(&Name::new("dao").unwrap(), &proven, answered).unwrap();
        assert!(found.iter().all(|difference| difference.block == 4_369_999), "{found:?}");
        found.into_iter().map(|difference| (difference.kind, difference.log_index)).collect()
    }

    #[test]
    fn a_true_answer_has_nothing_false() {
        assert_eq!(judged(|_| {}), []);
    }

    #[test]
    fn every_log_that_is_withheld_altered_or_invented_is_named() {
        let found = judged(|logs| {
            let mut invented = logs[9].clone();
            invented.log_index = Some(1000);
            logs.push(invented);
            logs[7].inner.data.data = U256::from(5).to_be_bytes::<32>().into();
            logs.remove(4);
            logs.remove(2);
        });
        let (withheld, lie) = (Kind::Withheld, Kind::Lie);
        let expected =
            [(withheld, Some(2)), (withheld, Some(4)), (lie, Some(7)), (lie, Some(1000))];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_answer_that_withholds_all_is_found_out() {
        let found = judged(Vec::clear);
        assert_eq!(found.len(), 171);
        assert!(found.iter().all(|(kind, _)| *kind == Kind::Withheld));
    }

    #[test]
    fn logs_of_another_branch_are_told_once() {
        let found = judged(|logs| {
            for log in logs {
                log.block_hash = Some(B256::repeat_byte(1));
            }
        });
        assert_eq!(found, [(Kind::Lie, None)]);
    }
}
