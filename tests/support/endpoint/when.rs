//! Which calls a rule of a script is for.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// All calls, unless it is narrowed.
#[derive(Clone, Debug)]
pub struct When {
    methods: Vec<&'static str>,
    share: f64,
    after: u64,
    times: u64,
}

impl When {
    pub fn always() -> Self {
        Self { methods: Vec::new(), share: 1.0, after: 0, times: u64::MAX }
    }

    /// Calls of this method; given again, of that one, too.
    pub fn on(mut self, method: &'static str) -> Self {
        self.methods.push(method);
        self
    }

    /// This share of them, drawn by the script's seed.
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// Not the first so many.
    pub fn after(self, calls: u64) -> Self {
        Self { after: calls, ..self }
    }

    /// At most so often.
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }
}

/// A rule's condition as it goes along.
pub(super) struct Turn {
    when: When,
    seen: u64,
    fired: u64,
    pub(super) chance: StdRng,
}

impl Turn {
    pub(super) fn new(when: &When, seed: u64) -> Self {
        Self { when: when.clone(), seen: 0, fired: 0, chance: StdRng::seed_from_u64(seed) }
    }

    /// Whether the rule is for this call, one of `methods`.
    pub(super) fn fires<'a>(&mut self, mut methods: impl Iterator<Item = &'a str>) -> bool {
        let When { methods: wanted, share, after, times } = &self.when;
        if !methods.any(|method| wanted.is_empty() || wanted.contains(&method)) {
            return false;
        }
        self.seen += 1;
        let fires = self.seen > *after && self.fired < *times && self.chance.random_bool(*share);
        self.fired += u64::from(fires);
        fires
    }
}
