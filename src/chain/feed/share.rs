//! One call for several contracts: what to ask for, and whose each log is.

use std::{collections::HashMap, sync::Arc};

use alloy::{
    primitives::{Address, B256, Bloom, BloomInput, keccak256},
    rpc::types::Log,
};

use crate::{
    chain::{answers::LogFilter, census::Children, cursor::Confirmations},
    domain::Name,
};

/// What is to be known of a contract to read its logs along with others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its configured name.
    pub name: Name,
    /// How deep its blocks must be.
    pub confirmations: Confirmations,
    filter: LogFilter,
    /// Hashes of the filter's addresses and topics: what blooms are asked for.
    hashes: (Vec<B256>, Vec<B256>),
    /// For contracts that a factory creates: from which block on each counts.
    since: Option<Arc<Children>>,
}

impl Watched {
    /// A contract's logs.
    #[must_use]
    pub fn new(name: Name, confirmations: Confirmations, filter: LogFilter) -> Self {
        let addresses = filter.addresses.iter().map(keccak256).collect();
        let topics = filter.topics0.iter().map(keccak256).collect();
        Self { name, confirmations, filter, hashes: (addresses, topics), since: None }
    }

    /// The logs of all contracts that a factory created, as far as is known.
    #[must_use]
    pub fn created(
        name: Name,
        confirmations: Confirmations,
        topics0: Vec<B256>,
        children: &Arc<Children>,
    ) -> Self {
        let mut addresses: Vec<Address> = children.keys().copied().collect();
        if addresses.is_empty() {
            // An empty list would mean all. Nobody has this one.
            addresses.push(Address::ZERO);
        }
        let filter = LogFilter { addresses, topics0 };
        let since = Some(Arc::clone(children));
        Self { since, ..Self::new(name, confirmations, filter) }
    }

    /// Whether there may be more addresses later: it is complete only for the
    /// blocks that it was made for.
    #[must_use]
    pub fn grows(&self) -> bool {
        self.since.is_some()
    }

    /// Its filter.
    #[must_use]
    pub fn filter(&self) -> &LogFilter {
        &self.filter
    }

    /// Whether a log is one of its.
    #[must_use]
    pub fn has(&self, log: &Log) -> bool {
        let LogFilter { addresses, topics0 } = &self.filter;
        let of_one = match &self.since {
            None => addresses.is_empty() || addresses.contains(&log.address()),
            Some(since) => since
                .get(&log.address())
                .is_some_and(|first| log.block_number.is_none_or(|number| number >= *first)),
        };
        of_one && (topics0.is_empty() || log.topic0().is_some_and(|topic| topics0.contains(topic)))
    }

    /// Whether a block of this bloom may have a log of its: the filter's
    /// [`LogFilter::may_be_in`], hashed beforehand.
    #[must_use]
    pub fn may_be_in(&self, bloom: &Bloom) -> bool {
        let (addresses, topics) = &self.hashes;
        let any = |hashes: &[B256]| {
            hashes.is_empty()
                || hashes.iter().any(|hash| bloom.contains_input(BloomInput::Hash(*hash)))
        };
        any(addresses) && any(topics)
    }
}

/// A filter that lets through whatever one of these does; and more, since it
/// can't tell which topic was meant for which address.
#[must_use]
pub fn union<'a>(watched: impl IntoIterator<Item = &'a Watched>) -> LogFilter {
    let mut all = LogFilter::default();
    let (mut any_address, mut any_topic) = (false, false);
    for Watched { filter, .. } in watched {
        any_address |= filter.addresses.is_empty();
        any_topic |= filter.topics0.is_empty();
        all.addresses.extend(&filter.addresses);
        all.topics0.extend(&filter.topics0);
    }
    if any_address {
        all.addresses.clear();
    }
    if any_topic {
        all.topics0.clear();
    }
    all.addresses.sort_unstable();
    all.addresses.dedup();
    all.topics0.sort_unstable();
    all.topics0.dedup();
    all
}

/// Deals logs out to those whose they are, each from its first block on. The
/// order of each one's logs stays. A log may be nobody's, or several's.
#[must_use]
pub fn deal(logs: Vec<Log>, to: &[(&Watched, u64)]) -> Vec<Vec<Log>> {
    let mut dealt: Vec<Vec<Log>> = vec![Vec::new(); to.len()];
    let mut by_address = HashMap::<Address, Vec<usize>>::new();
    let mut of_any = Vec::new();
    for (index, (watched, _)) in to.iter().enumerate() {
        match watched.filter.addresses.as_slice() {
            [] => of_any.push(index),
            addresses => {
                for address in addresses {
                    by_address.entry(*address).or_default().push(index);
                }
            }
        }
    }
    for log in logs {
        let block = log.block_number.unwrap_or_default();
        let mine = by_address.get(&log.address()).map(Vec::as_slice).unwrap_or_default();
        let mut takers = mine.iter().chain(&of_any).copied().filter(|index| {
            to.get(*index).is_some_and(|(watched, from)| block >= *from && watched.has(&log))
        });
        let Some(first) = takers.next() else { continue };
        for other in takers {
            if let Some(logs) = dealt.get_mut(other) {
                logs.push(log.clone());
            }
        }
        if let Some(logs) = dealt.get_mut(first) {
            logs.push(log);
        }
    }
    dealt
}

/// What a log takes in memory, about, in bytes.
#[must_use]
pub fn bytes_of(log: &Log) -> usize {
    /// Its data's handle and the counters of its allocations.
    const HEAP: usize = 64;
    size_of::<Log>() + HEAP + size_of_val(log.topics()) + log.data().data.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy::primitives::LogData;

    use super::*;

    fn watched(name: &str, addresses: &[u8], topics: &[u8]) -> Watched {
        let filter = LogFilter {
            addresses: addresses.iter().map(|byte| Address::repeat_byte(*byte)).collect(),
            topics0: topics.iter().map(|byte| B256::repeat_byte(*byte)).collect(),
        };
        Watched::new(Name::new(name).unwrap(), Confirmations::Blocks(0), filter)
    }

    fn log(address: u8, topic: u8, block: u64) -> Log {
        let topics = vec![B256::repeat_byte(topic)];
        let data = LogData::new_unchecked(topics, alloy::primitives::Bytes::new());
        let inner = alloy::primitives::Log { address: Address::repeat_byte(address), data };
        Log { inner, block_number: Some(block), ..Log::default() }
    }

    #[test]
    fn each_gets_its_own_whoever_else_was_asked_for() {
        let (dao, token, twin) = (
            watched("dao", &[1], &[7, 8]),
            watched("token", &[2], &[9]),
            watched("twin", &[1], &[8]),
        );
        // The dao's address with the token's topic is nobody's.
        let logs = vec![log(1, 7, 1), log(2, 9, 1), log(1, 9, 2), log(1, 8, 3), log(2, 9, 4)];
        let dealt = deal(logs, &[(&dao, 0), (&token, 2), (&twin, 0)]);
        let blocks: Vec<Vec<u64>> = dealt
            .iter()
            .map(|logs| logs.iter().filter_map(|log| log.block_number).collect())
            .collect();
        assert_eq!(blocks, [vec![1, 3], vec![4], vec![3]]);
    }

    #[test]
    fn a_child_is_read_from_its_block_on_and_without_any_nobody_is() {
        let children = |of: &[(u8, u64)]| {
            Arc::new(of.iter().map(|(n, block)| (Address::repeat_byte(*n), *block)).collect())
        };
        let daos = |children: &Arc<Children>| {
            let (name, topics0) = (Name::new("daos").unwrap(), vec![B256::repeat_byte(7)]);
            Watched::created(name, Confirmations::Blocks(0), topics0, children)
        };
        let two = daos(&children(&[(1, 5), (2, 9)]));
        let logs = vec![log(1, 7, 4), log(1, 7, 5), log(2, 7, 8), log(2, 7, 9), log(3, 7, 9)];
        let dealt = deal(logs, &[(&two, 0)]);
        let blocks: Vec<_> = dealt[0].iter().map(|log| log.block_number.unwrap()).collect();
        assert_eq!(blocks, [5, 9]);
        let none = daos(&children(&[]));
        assert!(!none.filter().addresses.is_empty() && none.grows());
        assert!(!none.has(&log(0, 7, 1)));
    }

    #[test]
    fn a_union_asks_for_all_that_one_asks_for() {
        let (dao, token) = (watched("dao", &[1], &[7]), watched("token", &[2], &[7, 9]));
        let both = union([&dao, &token]);
        assert_eq!((both.addresses.len(), both.topics0.len()), (2, 2));
        let all = union([&dao, &watched("any", &[], &[7])]);
        assert!(all.addresses.is_empty() && all.topics0.len() == 1);
    }

    #[test]
    fn a_bloom_is_asked_as_the_filter_asks_it() {
        let dao = watched("dao", &[1, 3], &[7, 8]);
        let mut bloom = Bloom::ZERO;
        assert!(!dao.may_be_in(&bloom));
        bloom.accrue_raw_log(Address::repeat_byte(3), &[B256::repeat_byte(8)]);
        assert!(dao.may_be_in(&bloom) && dao.filter().may_be_in(&bloom));
        assert!(!watched("other", &[1], &[8]).may_be_in(&bloom));
    }
}
