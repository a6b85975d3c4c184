//! Proven logs against answers to `eth_getLogs`, and blooms against both.

use alloy::primitives::{Address, B256, Bloom, Bytes, LogData};
use alloy::rpc::types::Log;

use super::Block;
use crate::chain::{
    answers::{LogBlocks, LogFilter},
    proof::{Lie, NotProven, compare, denial, denied},
};

fn all() -> Vec<Log> {
    Block::ethereum().prove().unwrap().logs(&LogFilter::default())
}

#[test]
fn proven_logs_are_what_an_honest_endpoint_answers() {
    let arbitrum = Block::arbitrum();
    let mut answered: Vec<Log> = Vec::new();
    for receipt in arbitrum.receipts.as_array().unwrap() {
        let logs: Vec<Log> = serde_json::from_value(receipt["logs"].clone()).unwrap();
        answered.extend(logs);
    }
    let proven = arbitrum.prove().unwrap();
    let logs = proven.logs(&LogFilter::default());
    assert!(!logs.is_empty());
    assert_eq!(compare(&logs, &answered), Ok(()));
    let at = LogBlocks::Hash(proven.block().hash);
    assert_eq!(LogFilter::default().check(&at, &mut logs.clone()), Ok(()));
}

#[test]
fn a_filter_chooses_among_proven_logs() {
    let logs = all();
    let (address, topic) = (logs[0].address(), *logs[0].topic0().unwrap());
    let filter = LogFilter { addresses: vec![address], topics0: vec![topic] };
    let chosen = Block::ethereum().prove().unwrap().logs(&filter);
    let expected: Vec<Log> = logs
        .into_iter()
        .filter(|log| log.address() == address && log.topic0() == Some(&topic))
        .collect();
    assert!(!chosen.is_empty());
    assert_eq!(chosen, expected);
}

#[test]
fn the_first_log_that_differs_is_named() {
    let truth = all();
    let block = 4_369_999;
    let lie = |change: &dyn Fn(&mut Vec<Log>)| {
        let mut answered = truth.clone();
        change(&mut answered);
        let NotProven::Lie(lie) = compare(&truth, &answered).unwrap_err() else { panic!("no lie") };
        lie
    };
    let (address, transaction) = (truth[3].address(), truth[3].transaction_hash.unwrap());
    assert_eq!(
        lie(&|logs| drop(logs.remove(3))),
        Lie::WithheldLog { block, log_index: 3, address, transaction }
    );
    assert_eq!(
        lie(&|logs| {
            logs.push(logs[3].clone());
            logs[171].log_index = Some(171);
        }),
        Lie::InventedLog { block, log_index: 171, address }
    );
    let altered = |what, change: &dyn Fn(&mut Log)| {
        let expected = Lie::AlteredLog { block, log_index: 3, what };
        assert_eq!(lie(&|logs| change(&mut logs[3])), expected);
    };
    altered("address", &|log| log.inner.address = Address::ZERO);
    altered("list of topics", &|log| log.inner.data.set_topics_unchecked(vec![]));
    altered("data", &|log| log.inner.data.data = Bytes::from_static(b"?"));
    altered("transaction index", &|log| log.transaction_index = Some(99));
    altered("transaction hash", &|log| log.transaction_hash = Some(B256::ZERO));
    altered("block time", &|log| log.block_timestamp = Some(1));
    altered("mark, that its block was orphaned", &|log| log.removed = true);
    let other = lie(&|logs| logs[3].block_hash = Some(B256::ZERO));
    assert!(matches!(other, Lie::WrongBlockHash { told: B256::ZERO, .. }), "{other}");
    let mut without_time = truth.clone();
    without_time.iter_mut().for_each(|log| log.block_timestamp = None);
    assert_eq!(compare(&truth, &without_time), Ok(()));
}

#[test]
fn what_is_withheld_is_found_wherever_it_stood() {
    let proven = Block::ethereum().prove().unwrap();
    let logs = proven.logs(&LogFilter::default());
    let one = LogFilter { addresses: vec![logs[0].address()], topics0: vec![] };
    for truth in [proven.logs(&one), logs] {
        for at in 0..truth.len() {
            let mut answered = truth.clone();
            let gone = answered.remove(at);
            let (block, log_index) = (4_369_999, gone.log_index.unwrap());
            let (address, transaction) = (gone.address(), gone.transaction_hash.unwrap());
            assert_eq!(
                compare(&truth, &answered),
                Err(Lie::WithheldLog { block, log_index, address, transaction }.into())
            );
            // The other way round, the same log was invented.
            assert_eq!(
                compare(&answered, &truth),
                Err(Lie::InventedLog { block, log_index, address }.into())
            );
        }
    }
}

#[test]
fn a_bloom_denies_what_was_invented_and_nothing_else() {
    let header = Block::ethereum().header();
    let bloom = header.fields.logs_bloom;
    let logs = all();
    assert_eq!(denied(&bloom, &logs), None);

    let mut invented = logs.clone();
    let address = Address::repeat_byte(0x77);
    invented[7].inner.address = address;
    assert_eq!(denied(&bloom, &invented), Some(&invented[7]));
    let (block, hash) = (header.fields.number, header.hash);
    assert_eq!(denial(&invented[7]), Lie::DeniedByBloom { block, hash, log_index: 7, address });

    // The address is known, a topic is not.
    let mut voter = logs.clone();
    let topics = [logs[3].topics(), &[B256::repeat_byte(0x77)]].concat();
    voter[3].inner.data = LogData::new_unchecked(topics, Bytes::new());
    assert_eq!(denied(&bloom, &voter), Some(&voter[3]));

    assert_eq!(denied(&Bloom::ZERO, &logs), Some(&logs[0]));
    assert_eq!(denied(&Bloom::ZERO, &logs[..0]), None);
    // Stands for a header without any.
    assert_eq!(denied(&Bloom::repeat_byte(0xff), &invented), None);
}

#[test]
fn a_bloom_must_hold_one_of_the_addresses_and_one_of_the_topics() {
    let log = &all()[0];
    let mut bloom = Bloom::ZERO;
    bloom.accrue_raw_log(log.address(), log.topics());
    let (other, unknown) = (Address::repeat_byte(0x77), B256::repeat_byte(0x77));
    let may = |addresses: &[Address], topics0: &[B256]| {
        let filter = LogFilter { addresses: addresses.to_vec(), topics0: topics0.to_vec() };
        assert_eq!(filter.may_be_in(&bloom), filter.blooms().may_be_in(&bloom));
        filter.may_be_in(&bloom)
    };
    let (address, topic) = (log.address(), *log.topic0().unwrap());
    assert!(may(&[other, address], &[unknown, topic]));
    assert!(!may(&[other], &[unknown, topic]));
    assert!(!may(&[other, address], &[unknown]));
    assert!(may(&[], &[topic]) && may(&[address], &[]) && may(&[], &[]));
}
