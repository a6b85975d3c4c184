//! Gas limits: an estimate with a buffer, since state may change between the
//! estimate and the block. Unused gas costs nothing.

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
    /// Checks and wraps a buffer.
    ///
    /// # Errors
    /// When it is below 20 or above 30.
    pub fn new(percent: u64) -> Result<Self, GasError> {
        if (20..=30).contains(&percent) {
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
}
