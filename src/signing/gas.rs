//! Gas limits: an estimate with a buffer, since state may change between the
//! estimate and the block. Unused gas costs nothing. What receipts teach of
//! both is [`GasBook`].

use serde::{Deserialize, Serialize};

/// How much is added to an estimate, in percent: 20 to 30, as the guide asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferPercent(u64);

/// Why a call gets no gas limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GasError {
    /// A buffer outside of the guide's bounds.
    #[error("a gas buffer of {percent} % is not within 20 to 30 %")]
    BufferOutOfRange {
        /// What was configured.
        percent: u64,
    },
    /// The call doesn't fit in a block: split its batch.
    #[error("the call needs {estimate} gas and a block has {block_gas_limit}")]
    ExceedsBlock {
        /// What it needs.
        estimate: u64,
        /// What a block has.
        block_gas_limit: u64,
    },
}

impl BufferPercent {
    /// The least.
    pub const MIN: u64 = 20;
    /// The most.
    pub const MAX: u64 = 30;

    /// Checks and wraps a buffer.
    ///
    /// # Errors
    /// When it is below 20 or above 30.
    pub fn new(percent: u64) -> Result<Self, GasError> {
        if (Self::MIN..=Self::MAX).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(GasError::BufferOutOfRange { percent })
        }
    }
}

impl Default for BufferPercent {
    fn default() -> Self {
        Self(25)
    }
}

/// The limit for a call that `eth_estimateGas` put at `estimate`: with the
/// buffer, rounded up, but no more than a block has.
///
/// # Errors
/// When the estimate alone is more than a block has.
pub fn gas_limit(
    estimate: u64,
    buffer: BufferPercent,
    block_gas_limit: u64,
) -> Result<u64, GasError> {
    if estimate > block_gas_limit {
        return Err(GasError::ExceedsBlock { estimate, block_gas_limit });
    }
    let buffered = (u128::from(estimate) * u128::from(100 + buffer.0)).div_ceil(100);
    Ok(u64::try_from(buffered).map_or(block_gas_limit, |limit| limit.min(block_gas_limit)))
}

/// What receipts taught: how far estimates fall short, and what a batch and
/// each item in it use.
///
/// Both follow what is dear at once and forget it slowly: too low a guess costs
/// a reverted transaction or a batch that fits in no block, too high a one
/// almost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GasBook {
    // How much more was used than was estimated, at its worst, in 1/1000; 0
    // where estimates suffice.
    #[serde(default)]
    short_permille: u64,
    #[serde(default = "GasBook::item_guess")]
    per_item: u64,
    // `per_item` is a guess until a receipt has told.
    #[serde(default)]
    learned: bool,
}

impl Default for GasBook {
    fn default() -> Self {
        Self { short_permille: 0, per_item: Self::item_guess(), learned: false }
    }
}

/// What one confirmed transaction used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasReceipt {
    /// What the node had estimated, where that is still known.
    pub estimate: Option<u64>,
    /// What it used.
    pub used: u64,
    /// Items that it unlocked; 0 teaches only about estimates.
    pub items: u64,
    /// It ran out of gas: nobody knows how much it would have used.
    pub ran_out: bool,
}

impl GasBook {
    /// Gas of a batch without items: the call itself, its calldata's head.
    pub const BASE: u64 = 60_000;

    // A first unlock of a soulbound ERC-721 with its event.
    fn item_guess() -> u64 {
        180_000
    }

    /// The buffer for the next call: twice what the worst estimate of late fell
    /// short by, within the guide's bounds.
    #[must_use]
    pub fn buffer(&self) -> BufferPercent {
        let wanted = BufferPercent::MIN + self.short_permille.saturating_mul(2).div_ceil(10);
        BufferPercent(wanted.clamp(BufferPercent::MIN, BufferPercent::MAX))
    }

    /// Gas that each item adds to a batch.
    #[must_use]
    pub fn per_item(&self) -> u64 {
        self.per_item
    }

    /// Gas that a batch of so many items may be reckoned to use.
    #[must_use]
    pub fn of_batch(&self, items: u64) -> u64 {
        Self::BASE.saturating_add(self.per_item.saturating_mul(items))
    }

    /// Learns from a receipt.
    pub fn learn(&mut self, receipt: &GasReceipt) {
        let GasReceipt { estimate, used, items, ran_out } = *receipt;
        if ran_out {
            self.short_permille = follow(self.short_permille, NO_IDEA);
        } else if let Some(estimate) = estimate {
            let over = u128::from(used.saturating_sub(estimate)) * 1000;
            let short = over.checked_div(estimate.into()).unwrap_or_default();
            let short = u64::try_from(short).unwrap_or(NO_IDEA).min(NO_IDEA);
            self.short_permille = follow(self.short_permille, short);
        }
        if let Some(each) = used.saturating_sub(Self::BASE).checked_div(items)
            && !ran_out
        {
            // A batch of what was skipped teaches nothing about one that is not.
            let each = each.max(20_000);
            self.per_item = if self.learned { follow(self.per_item, each) } else { each };
            self.learned = true;
        }
    }
}

/// Estimates are worth nothing: the largest buffer there is.
const NO_IDEA: u64 = 100;

/// Up at once, down by a tenth of the way.
fn follow(old: u64, new: u64) -> u64 {
    if new >= old { new } else { old - (old - new).div_ceil(10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_the_buffer_and_fits_in_a_block() {
        let buffer = BufferPercent::default();
        assert_eq!(gas_limit(100_001, buffer, 30_000_000), Ok(125_002));
        assert_eq!(gas_limit(29_000_000, buffer, 30_000_000), Ok(30_000_000));
        assert_eq!(gas_limit(u64::MAX, buffer, u64::MAX), Ok(u64::MAX));
        assert_eq!(
            gas_limit(31, buffer, 30),
            Err(GasError::ExceedsBlock { estimate: 31, block_gas_limit: 30 })
        );
    }

    #[test]
    fn a_buffer_is_20_to_30_percent() {
        for percent in [20, 25, 30] {
            assert!(BufferPercent::new(percent).is_ok());
        }
        for percent in [0, 19, 31, u64::MAX] {
            assert_eq!(BufferPercent::new(percent), Err(GasError::BufferOutOfRange { percent }));
        }
    }

    fn receipt(estimate: u64, used: u64, items: u64) -> GasReceipt {
        GasReceipt { estimate: Some(estimate), used, items, ran_out: false }
    }

    #[test]
    fn the_buffer_follows_estimates_that_fall_short_and_comes_down_again() {
        let mut book = GasBook::default();
        assert_eq!(book.buffer(), BufferPercent(20));
        // 3 % more than the estimate.
        book.learn(&receipt(1_000_000, 1_030_000, 0));
        assert_eq!(book.buffer(), BufferPercent(26));
        book.learn(&GasReceipt { ran_out: true, ..receipt(1_000_000, 1_250_000, 0) });
        assert_eq!(book.buffer(), BufferPercent(30));
        for _ in 0..60 {
            book.learn(&receipt(1_000_000, 900_000, 0));
        }
        assert_eq!(book.buffer(), BufferPercent(20));
        // What was estimated before a restart is not known any more.
        book.learn(&GasReceipt { estimate: None, ..receipt(0, 1_250_000, 0) });
        assert_eq!(book.buffer(), BufferPercent(20));
        book.learn(&receipt(0, u64::MAX, 0));
        book.learn(&receipt(1, u64::MAX, 0));
        assert_eq!(book.buffer(), BufferPercent(30));
    }

    #[test]
    fn what_an_item_uses_is_learned_up_at_once_and_down_slowly() {
        let mut book = GasBook::default();
        // The first receipt takes the place of a guess.
        book.learn(&receipt(9_000_000, GasBook::BASE + 50 * 90_000, 50));
        assert_eq!(book.per_item(), 90_000);
        book.learn(&receipt(9_000_000, GasBook::BASE + 50 * 200_000, 50));
        assert_eq!(book.per_item(), 200_000);
        book.learn(&receipt(9_000_000, GasBook::BASE + 50 * 100_000, 50));
        assert_eq!(book.per_item(), 190_000);
        // All skipped.
        book.learn(&receipt(9_000_000, GasBook::BASE, 50));
        assert!(book.per_item() > 170_000);
        assert_eq!(book.of_batch(2), GasBook::BASE + 2 * book.per_item());
        let record = serde_json::to_string(&book).unwrap_or_default();
        assert_eq!(serde_json::from_str::<GasBook>(&record).ok(), Some(book));
        assert_eq!(serde_json::from_str::<GasBook>("{}").ok(), Some(GasBook::default()));
    }
}
