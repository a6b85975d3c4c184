//! Chance that decides nothing but when: jitter, names of runs, samples. Keys and
//! passwords are not drawn here. A simulation gives it a seed.

use rand::{
    Rng as _, RngCore,
    distr::{
        Distribution, StandardUniform,
        uniform::{SampleRange, SampleUniform},
    },
};

/// A random value.
#[must_use]
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    Chance.random()
}

/// A random value of a range, which must not be empty.
pub fn random_range<T: SampleUniform>(range: impl SampleRange<T>) -> T {
    Chance.random_range(range)
}

/// The source of all of it.
#[derive(Clone, Copy, Debug)]
pub struct Chance;

impl RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        #[cfg(feature = "simulation")]
        if let Some(drawn) = simulated::draw(RngCore::next_u32) {
            return drawn;
        }
        rand::rng().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        #[cfg(feature = "simulation")]
        if let Some(drawn) = simulated::draw(RngCore::next_u64) {
            return drawn;
        }
        rand::rng().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        #[cfg(feature = "simulation")]
        if simulated::draw(|seeded| seeded.fill_bytes(bytes)).is_some() {
            return;
        }
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(feature = "simulation")]
pub(crate) mod simulated {
    use std::cell::RefCell;

    use rand::{SeedableRng as _, rngs::StdRng};

    thread_local!(static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) });

    /// From now on this thread's chance follows from the seed.
    pub(crate) fn begin(seed: u64) {
        SEEDED.set(Some(StdRng::seed_from_u64(seed)));
    }

    /// The thread has real chance again.
    pub(crate) fn end() {
        SEEDED.set(None);
    }

    pub(super) fn draw<T>(draw: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
        SEEDED.with_borrow_mut(|seeded| seeded.as_mut().map(draw))
    }
}
