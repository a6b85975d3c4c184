//! What is known of families of chains: defaults for the keys of
//! `[[chains]]` that a `preset` stands for.

use std::time::Duration;

use serde::Deserialize;

use super::Confirmations;

/// A family of chains. Each value that it stands for can be overridden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Ethereum and its test networks: 12 s slots, final after two epochs.
    Ethereum,
    /// Rollups of the OP stack: 2 s blocks, `safe` once their data is on L1.
    OpStack,
    /// Arbitrum chains: blocks of a quarter of a second, `safe` once on L1.
    Arbitrum,
    /// Polygon PoS: 2 s blocks, final by milestones, with deep reorgs before.
    Polygon,
    /// Gnosis: 5 s slots, final after two epochs.
    Gnosis,
    /// BNB Smart Chain: blocks of less than a second, fast finality.
    Bsc,
    /// Avalanche C-Chain: what is accepted is final.
    Avalanche,
    /// anvil, hardhat and the like: no finality of their own.
    Dev,
}

/// What a preset stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Defaults {
    pub confirmations: Confirmations,
    /// Blocks that can be undone: undo logs and remembered headers reach so
    /// deep, and deeper where the tag lags.
    pub finality_depth: u64,
    /// Whether the `finalized` tag means what it says.
    pub finality_tag: bool,
    /// Time between blocks, until enough of them were seen.
    pub block_time: Duration,
}

impl Preset {
    pub(super) fn defaults(self) -> Defaults {
        let of = |confirmations, finality_depth, finality_tag, block_time_ms| Defaults {
            confirmations,
            finality_depth,
            finality_tag,
            block_time: Duration::from_millis(block_time_ms),
        };
        match self {
            Self::Ethereum => of(Confirmations::Blocks(12), 96, true, 12_000),
            Self::OpStack => of(Confirmations::Safe, 1_800, true, 2_000),
            Self::Arbitrum => of(Confirmations::Safe, 8_000, true, 250),
            Self::Polygon => of(Confirmations::Blocks(64), 256, true, 2_000),
            Self::Gnosis => of(Confirmations::Blocks(12), 96, true, 5_000),
            Self::Bsc => of(Confirmations::Blocks(15), 128, true, 750),
            Self::Avalanche => of(Confirmations::Blocks(1), 32, true, 1_500),
            Self::Dev => of(Confirmations::Blocks(1), 64, false, 1_000),
        }
    }
}

/// Without a preset nothing is presumed of a chain: deep, and without tags.
pub(super) const UNKNOWN: Defaults = Defaults {
    confirmations: Confirmations::Blocks(6),
    finality_depth: 64,
    finality_tag: false,
    block_time: Duration::from_secs(2),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_confirms_within_its_own_finality() {
        for preset in [
            Preset::Ethereum,
            Preset::OpStack,
            Preset::Arbitrum,
            Preset::Polygon,
            Preset::Gnosis,
            Preset::Bsc,
            Preset::Avalanche,
            Preset::Dev,
        ] {
            let Defaults { confirmations, finality_depth, finality_tag, block_time } =
                preset.defaults();
            match confirmations {
                Confirmations::Blocks(blocks) => assert!(blocks <= finality_depth, "{preset:?}"),
                Confirmations::Safe | Confirmations::Finalized => {
                    assert!(finality_tag, "{preset:?}");
                }
            }
            assert!(!block_time.is_zero(), "{preset:?}");
        }
    }
}
