//! What is told of as if it were on a chain, and is on none: signed facts. Each source
//! of them has an order of its own, under an id and a name like a chain's.

use alloy::primitives::keccak256;

use super::Name;

/// Where the ids of such chains begin: no EIP-155 id in use is near, and every id is a
/// number that JSON readers keep whole.
const FIRST: u64 = 1 << 52;

/// The id that stands for a source where chains have theirs.
#[must_use]
pub fn chain_id(source: &Name) -> u64 {
    let hash = keccak256(source.as_str());
    let part = hash.iter().take(5).fold(0_u64, |id, byte| id << 8 | u64::from(*byte));
    FIRST | part
}

/// Whether an id stands for a source of facts.
#[must_use]
pub fn is_off_chain(chain_id: u64) -> bool {
    (FIRST..FIRST << 1).contains(&chain_id)
}

/// What subjects have in the place of a chain's name. Configured chains can't have it.
#[must_use]
pub fn off_chain() -> Name {
    static NAME: std::sync::LazyLock<Name> = std::sync::LazyLock::new(|| {
        #[expect(clippy::expect_used, reason = "a constant, made by every test of this file")]
        Name::new("offchain").expect("it is a name")
    });
    NAME.clone()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_source_has_an_id_of_its_own_that_is_no_chain_s() {
        let [forum, polls] = ["forum", "polls"].map(|name| chain_id(&Name::new(name).unwrap()));
        assert_ne!(forum, polls);
        for id in [forum, polls] {
            assert!(is_off_chain(id) && id < 1 << 53, "{id}");
        }
        for id in [0, 1, 31_337, 1_313_161_554, u64::MAX] {
            assert!(!is_off_chain(id), "{id}");
        }
        assert_eq!(off_chain().as_str(), "offchain");
    }
}
