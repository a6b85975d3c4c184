//! Rule sets: TOML files that say who earns which achievement, compiled
//! against the configured contracts and evaluated as a [`Fold`](crate::fold::Fold)
//! over their events. The language is described in `docs/rules.md`.
//!
//! Pure: whoever reads files, streams and stores hands over text, events and
//! saved state.

mod achievement;
mod again;
mod canonical;
mod catalog;
mod chances;
mod compile;
mod conditions;
mod decide;
mod document;
mod error;
mod evaluate;
mod explain;
mod facts;
mod fields;
mod holdings;
mod index;
mod lasting;
mod links;
mod literal;
mod marks;
mod memory;
mod meter;
mod model;
mod mutual;
mod number;
mod outcomes;
mod packed;
mod period;
mod places;
mod powers;
mod predicate;
mod prerequisites;
mod proposals;
mod ratio;
mod reading;
mod records;
mod seen;
mod sequence;
mod signals;
mod spans;
mod steps;
mod stocks;
mod streak;
mod tally;
mod tree;
mod turns;
mod unlock;
mod user;
mod verdict;
mod who;
mod words;

pub use catalog::{Catalog, CatalogContract};
pub use chances::Chance as VoteChance;
pub use error::{Problem, RuleError};
pub use explain::{
    ConditionReport, Explanation, LeafReport, PrerequisiteReport, TimesReport, UnknownAchievement,
};
pub use memory::{Key, LAYOUT};
pub use model::{Achievement, Mode, OnChange, OnRetract, RuleSet, Urgency};
pub use outcomes::outcome_events;
pub use proposals::{Asked, Question};
pub use unlock::{Lapse, Unlock};

/// Exact limits of the language, so that a file can't make the daemon slow.
mod limits {
    /// Bytes of one file.
    pub const FILE_BYTES: usize = 1 << 20;
    /// Achievements of one set.
    pub const ACHIEVEMENTS: usize = 1_000;
    /// Tiers of one achievement.
    pub const TIERS: usize = 64;
    /// Steps of a sequence.
    pub const STEPS: usize = 16;
    /// Signers of one achievement.
    pub const SIGNERS: usize = 16;
    /// How deep `all` and `any` nest.
    pub const DEPTH: usize = 8;
    /// Conditions that are not groups, of one achievement.
    pub const LEAVES: usize = 64;
    /// Entries of a list (`event`, `in`, `requires`) or of `where`.
    pub const ENTRIES: usize = 256;
    /// Characters of an expression.
    pub const EXPRESSION_CHARS: usize = 1_024;
    /// How deep an expression nests.
    pub const EXPRESSION_DEPTH: u16 = 12;
    /// The longest span of time, seconds: a hundred years.
    pub const SPAN_SECONDS: u64 = 100 * 365 * 86_400;
    /// How often an achievement can be earned.
    pub const TIMES: u64 = 10_000;
    /// The highest `count` and `at_least`.
    pub const COUNT: u64 = 1_000_000_000;
}

#[cfg(test)]
mod tests;
