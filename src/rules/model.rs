//! A rule set as the fold evaluates it: every name resolved, every literal
//! typed.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Keccak256, U256};

use super::{
    again::Every,
    index::Index,
    links::Links,
    meter::{Aggregate, Measure, Meter},
    number::Number,
    proposals::Followed,
    tree::{Bound, Condition, Leaf, Tally},
};
pub use crate::domain::{OnRetract, Urgency};
use crate::{
    domain::{Name, UnlockId},
    fold::Source,
};

/// A compiled rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    pub(super) id: Name,
    /// Where the achievements are kept.
    pub(super) contract: ContractRef,
    /// What landing them may cost in a UTC day, in wei.
    pub(super) daily_budget: Option<U256>,
    /// From which time on events count, in seconds since the Unix epoch; 0 always.
    pub(super) since: u64,
    /// What becomes of what an older version of it gave.
    pub(super) on_change: Option<OnChange>,
    /// It is evaluated, and asks for nothing.
    pub(super) shadow: bool,
    /// Whose wallets are taken for one.
    pub(super) links: Links,
    /// In order of their names, so that the order in the file means nothing.
    pub(super) achievements: Vec<Achievement>,
    /// What is counted of users' events, each once however many look at it.
    pub(super) meters: Vec<Meter>,
    /// Events that are the same for everybody, whose number streaks and ratios
    /// look at, in order.
    pub(super) tallies: Vec<Tally>,
    /// The contracts that events are read from.
    pub(super) read: BTreeMap<Name, ContractRef>,
    /// The governors whose proposals it follows, in order of their names.
    pub(super) followed: Vec<Followed>,
    pub(super) index: Index,
    pub(super) version: B256,
}

/// What becomes of what users have by an older version of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// They keep it, and whoever earns something by the new version's reading of
    /// history gets it, too.
    Carry,
    /// They have what the new version's reading of history gives them, and lose what
    /// it doesn't.
    Recompute,
    /// They keep it; for the new version only what happens after [`RuleSet::since`]
    /// counts.
    FromNow,
}

impl OnChange {
    /// The word in rule files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Carry => "carry",
            Self::Recompute => "recompute",
            Self::FromNow => "from-now",
        }
    }
}

/// A configured contract, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContractRef {
    pub(super) name: Name,
    pub(super) chain_id: u64,
    pub(super) address: Address,
}

/// One achievement and how it is earned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Achievement {
    /// Its name in the file.
    pub name: Name,
    /// Its id in the achievements contract.
    pub id: U256,
    /// Who lands it, in order of their names: of several each has its share of
    /// the users.
    pub signers: Vec<Name>,
    /// What becomes of it when its evidence is orphaned after it landed.
    pub on_retract: OnRetract,
    /// How urgent its landing is.
    pub urgency: Urgency,
    /// It is told as a notice, and never lands.
    pub notify: bool,
    /// Achievements of this set that must be on chain first, in order of
    /// their names.
    pub requires: Vec<Name>,
    /// How many users can have it, those who earn it first; `None` of all.
    pub first: Option<u64>,
    /// Whether it can be lost again.
    pub mode: Mode,
    /// That it can be earned again; `None` where once is all.
    pub every: Option<Every>,
    pub(super) when: Condition,
    pub(super) leaves: Vec<Leaf>,
}

/// Whether an achievement can be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What was earned stays.
    #[default]
    Once,
    /// It is taken back when its condition is met no more, and can be earned anew.
    While,
}

impl Mode {
    /// The word in rule files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::While => "while",
        }
    }
}

impl Achievement {
    /// By which meter alone it is earned, at what: it needs to be looked at only once that
    /// shows as much.
    pub(super) fn is_shown_by(&self, meters: &[Meter]) -> Option<(usize, Number)> {
        let (Condition::Leaf(0), [Leaf::Events(leaf)]) = (&self.when, self.leaves.as_slice())
        else {
            return None;
        };
        let Bound::AtLeast(needed) = leaf.bound else { return None };
        let Self { requires, first, mode, every, .. } = self;
        let is_plain =
            requires.is_empty() && first.is_none() && *mode == Mode::Once && every.is_none();
        let meter = meters.get(leaf.meter).filter(|_| is_plain)?;
        // A sum shows nothing before it is moved, which may be enough once its window begins.
        let is_kept_by_nothing = match &meter.measure {
            Measure::Of { aggregate: Aggregate::Sum, field_type, .. } => {
                needed <= Number::zero(field_type)
            }
            _ => false,
        };
        (meter.is_moved_by_its_events() && !is_kept_by_nothing).then_some((leaf.meter, needed))
    }

    /// Whether what others do can lose it by a meter of its own.
    pub(super) fn is_lost_by_turns(&self, meter: &Meter) -> bool {
        self.mode == Mode::While && meter.tally_of_turns().is_some()
    }

    /// Who lands an effect: always the same one of several. Whoever is added or
    /// removed changes it for its own share alone (highest random weight).
    #[must_use]
    pub fn signer_of(&self, id: UnlockId) -> Option<&Name> {
        if let [only] = self.signers.as_slice() {
            return Some(only);
        }
        self.signers.iter().max_by_key(|signer| {
            let mut hasher = Keccak256::new();
            hasher.update(signer.as_str());
            hasher.update(id.0);
            hasher.finalize()
        })
    }
}

impl RuleSet {
    /// The set's stable name.
    #[must_use]
    pub fn id(&self) -> &Name {
        &self.id
    }

    /// The name of the contract that keeps the achievements.
    #[must_use]
    pub fn achievements_contract(&self) -> &Name {
        &self.contract.name
    }

    /// What landing its achievements may cost in a UTC day, in wei, if that is
    /// limited.
    #[must_use]
    pub fn daily_budget(&self) -> Option<U256> {
        self.daily_budget
    }

    /// From which time on events count, in seconds since the Unix epoch; 0 always.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// What becomes of what an older version of it gave, if the file says.
    #[must_use]
    pub fn on_change(&self) -> Option<OnChange> {
        self.on_change
    }

    /// Whether it is evaluated without asking for anything.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The achievements in order of their names.
    #[must_use]
    pub fn achievements(&self) -> &[Achievement] {
        &self.achievements
    }

    /// An achievement by name.
    #[must_use]
    pub fn achievement(&self, name: &str) -> Option<&Achievement> {
        self.achievements.iter().find(|achievement| achievement.name.as_str() == name)
    }

    /// Keccak-256 of what the set means: its canonical form with the chains and
    /// addresses that its contracts had at compilation. Comments, layout, the
    /// order of achievements and the spelling of numbers don't change it.
    #[must_use]
    pub fn version(&self) -> B256 {
        self.version
    }

    /// The contracts whose events it needs, in order of their names.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let source = |contract: &ContractRef| Source {
            chain_id: contract.chain_id,
            contract: contract.name.clone(),
        };
        self.read.values().map(source).collect()
    }
}
