//! How many addresses and topics to put into one call.

use std::collections::VecDeque;

use crate::chain::{
    answers::LogFilter,
    rpc_errors::{FilterHint, FilterPart},
};

/// What one endpoint takes at once. It only ever tightens: unlike what blocks
/// hold, these limits are set by people.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilterSplit {
    addresses: usize,
    topics: usize,
}

impl Default for FilterSplit {
    fn default() -> Self {
        Self { addresses: usize::MAX, topics: usize::MAX }
    }
}

impl FilterSplit {
    /// Filters that match together what `filter` matches, and no log twice.
    fn parts(&self, filter: &LogFilter) -> impl Iterator<Item = LogFilter> {
        let topics = pieces(&filter.topics0, self.topics);
        pieces(&filter.addresses, self.addresses).into_iter().flat_map(move |addresses| {
            let topics = topics.clone();
            topics
                .into_iter()
                .map(move |topics0| LogFilter { addresses: addresses.clone(), topics0 })
        })
    }

    /// A filter was too long. False when it can't be shorter.
    fn refused(&mut self, part: &LogFilter, hint: FilterHint) -> bool {
        let (addresses, topics) = (part.addresses.len(), part.topics0.len());
        let by_addresses = match hint.part {
            FilterPart::Addresses => addresses > 1,
            FilterPart::Topics => topics <= 1,
            FilterPart::Either => addresses >= topics,
        };
        let (cap, count) = match by_addresses {
            true => (&mut self.addresses, addresses),
            false => (&mut self.topics, topics),
        };
        if count <= 1 {
            return false;
        }
        // A limit of one is more likely a number that means something else.
        let named = hint.most.and_then(|most| usize::try_from(most).ok());
        let next = named.filter(|most| (2..count).contains(most)).unwrap_or(count / 2);
        *cap = (*cap).min(next);
        true
    }
}

/// As few pieces of at most `most` items as there can be, about equally long.
/// Nothing at all (which matches everything) is one piece.
fn pieces<T: Clone>(items: &[T], most: usize) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let count = items.len().div_ceil(most.max(1));
    items.chunks(items.len().div_ceil(count)).map(<[T]>::to_vec).collect()
}

/// A filter in parts, of which the first is to be asked for next.
#[derive(Clone, Debug)]
pub struct FilterParts {
    pending: VecDeque<LogFilter>,
}

impl FilterParts {
    pub(super) fn new(filter: &LogFilter, split: &FilterSplit) -> Self {
        Self { pending: split.parts(filter).collect() }
    }

    /// The part to ask for; `None` when all were answered.
    #[must_use]
    pub fn next(&self) -> Option<&LogFilter> {
        self.pending.front()
    }

    /// The next part was answered.
    pub fn answered(&mut self) {
        self.pending.pop_front();
    }

    /// The next part was too long: it is cut. False when it can't be.
    pub fn refused(&mut self, policy: &mut super::RangePolicy, hint: FilterHint) -> bool {
        let Some(part) = self.pending.front() else { return false };
        let can_be_cut = policy.split.refused(part, hint);
        if can_be_cut {
            let whole = std::mem::take(&mut self.pending);
            self.pending = whole.iter().flat_map(|part| policy.split.parts(part)).collect();
        }
        can_be_cut
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use alloy::primitives::{Address, B256};
    use proptest::prelude::*;

    use super::*;
    use crate::chain::ranges::RangePolicy;

    fn filter(addresses: u8, topics: u8) -> LogFilter {
        LogFilter {
            addresses: (0..addresses).map(Address::repeat_byte).collect(),
            topics0: (0..topics).map(B256::repeat_byte).collect(),
        }
    }

    fn hint(part: FilterPart, most: Option<u64>) -> FilterHint {
        FilterHint { part, most }
    }

    #[test]
    fn a_named_limit_is_kept_for_good() {
        let mut policy = RangePolicy::new(100);
        let mut parts = policy.parts(&filter(20, 3));
        assert!(parts.refused(&mut policy, hint(FilterPart::Addresses, Some(8))));
        assert_eq!(parts.next().unwrap().addresses.len(), 7, "three parts, about equal");
        let again = policy.parts(&filter(9, 3));
        assert_eq!(again.pending.len(), 2);
    }

    #[test]
    fn absurd_limits_halve_and_what_cannot_be_cut_says_so() {
        for most in [None, Some(0), Some(1), Some(10), Some(u64::MAX)] {
            let mut policy = RangePolicy::new(100);
            let mut parts = policy.parts(&filter(10, 0));
            assert!(parts.refused(&mut policy, hint(FilterPart::Either, most)), "{most:?}");
            assert_eq!(parts.pending.len(), 2, "{most:?}");
        }
        let mut policy = RangePolicy::new(100);
        for filter in [filter(0, 0), filter(1, 1), filter(1, 0)] {
            let mut parts = policy.parts(&filter);
            for part in [FilterPart::Addresses, FilterPart::Topics, FilterPart::Either] {
                assert!(!parts.refused(&mut policy, hint(part, None)));
            }
        }
    }

    proptest! {
        /// Whatever is refused, the parts match together what the filter
        /// matched, each pair once, and cutting comes to an end.
        #[test]
        fn parts_are_the_filter(
            addresses in 0u8..40, topics in 0u8..20,
            address_cap in 1usize..50, product_cap in 1usize..200,
            named in any::<bool>(), part in prop_oneof![
                Just(FilterPart::Addresses), Just(FilterPart::Topics), Just(FilterPart::Either)],
        ) {
            let whole = filter(addresses, topics);
            let mut policy = RangePolicy::new(100);
            let mut parts = policy.parts(&whole);
            let (mut read, mut refusals) = (Vec::new(), 0);
            while let Some(asked) = parts.next().cloned() {
                let product = asked.addresses.len().max(1) * asked.topics0.len().max(1);
                let fits = asked.addresses.len() <= address_cap && product <= product_cap;
                let most = named.then_some(address_cap as u64);
                if !fits && parts.refused(&mut policy, hint(part, most)) {
                    refusals += 1;
                    prop_assert!(refusals < 20);
                } else {
                    parts.answered();
                    read.push(asked);
                }
            }
            let pairs = |filter: &LogFilter| -> Vec<(Option<Address>, Option<B256>)> {
                let all = |n: usize| if n == 0 { vec![None] } else { (0..n).map(Some).collect() };
                all(filter.addresses.len()).into_iter().flat_map(|a| {
                    all(filter.topics0.len()).into_iter().map(move |t| (a, t)).collect::<Vec<_>>()
                }).map(|(a, t)| (a.map(|a| filter.addresses[a]), t.map(|t| filter.topics0[t]))).collect()
            };
            let mut all: Vec<_> = read.iter().flat_map(pairs).collect();
            all.sort();
            let mut wanted = pairs(&whole);
            wanted.sort();
            prop_assert_eq!(all, wanted);
        }
    }
}
