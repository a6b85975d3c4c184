//! A rule set as the fold evaluates it: every name resolved, every literal
//! typed.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Keccak256, U256};

pub use crate::domain::{OnRetract, Urgency};
use crate::{
    domain::{FieldType, Name, UnlockId, Value},
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
    /// In order of their names, so that the order in the file means nothing.
    pub(super) achievements: Vec<Achievement>,
    /// The contracts that events are read from.
    pub(super) read: BTreeMap<Name, ContractRef>,
    pub(super) index: Index,
    pub(super) version: B256,
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
    /// Achievements of this set that must be on chain first, in order of
    /// their names.
    pub requires: Vec<Name>,
    pub(super) when: Condition,
    pub(super) leaves: Vec<Leaf>,
}

/// A tree over an achievement's leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Index into [`Achievement::leaves`].
    Leaf(usize),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// Enough events of a user.
    Events(EventLeaf),
    /// Enough tokens in a user's hands.
    Holds(HoldsLeaf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventLeaf {
    /// The event kinds that count, in order, without repetition.
    pub(super) events: BTreeSet<EventKind>,
    /// The address field that earns.
    pub(super) subject: String,
    /// What each event must meet, in order of fields.
    pub(super) tests: Vec<FieldTest>,
    pub(super) measure: Measure,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventKind {
    pub(super) contract: Name,
    pub(super) event: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HoldsLeaf {
    /// The ERC-721 contract.
    pub(super) nft: Name,
    pub(super) at_least: u64,
}

/// A comparison of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldTest {
    pub(super) field: String,
    pub(super) field_type: FieldType,
    pub(super) comparison: Comparison,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal(Value),
    NotEqual(Value),
    Greater(Value),
    AtLeast(Value),
    Less(Value),
    AtMost(Value),
    In(Vec<Value>),
}

/// What of the matching events must reach how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Count { at_least: u64 },
    Distinct { field: String, field_type: FieldType, at_least: u64 },
    Sum { field: String, at_least: Number },
}

/// A number of the kind its field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Uint(U256),
    Int(alloy::primitives::I256),
}

/// Which leaves an event can touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// (achievement, leaf) by event kind.
    pub(super) by_event: BTreeMap<EventKind, Vec<(usize, usize)>>,
    /// Achievements by the ERC-721 contract that they need tokens of.
    pub(super) by_nft: BTreeMap<Name, BTreeSet<usize>>,
    /// Achievements that require the achievement with this id.
    pub(super) by_prerequisite: BTreeMap<U256, (Name, BTreeSet<usize>)>,
}

impl Index {
    pub(super) fn of(achievements: &[Achievement]) -> Self {
        let mut index = Self::default();
        for (a, achievement) in achievements.iter().enumerate() {
            for (l, leaf) in achievement.leaves.iter().enumerate() {
                match leaf {
                    Leaf::Events(leaf) => {
                        for kind in &leaf.events {
                            index.by_event.entry(kind.clone()).or_default().push((a, l));
                        }
                    }
                    Leaf::Holds(leaf) => {
                        index.by_nft.entry(leaf.nft.clone()).or_default().insert(a);
                    }
                }
            }
            for required in &achievement.requires {
                if let Some(first) = achievements.iter().find(|other| other.name == *required) {
                    let entry = index.by_prerequisite.entry(first.id);
                    entry.or_insert((required.clone(), BTreeSet::new())).1.insert(a);
                }
            }
        }
        index
    }
}

impl Achievement {
    /// Who lands an effect: always the same one of several. Whoever is added or
    /// removed changes it for its own share alone (highest random weight).
    #[must_use]
    pub fn signer_of(&self, id: UnlockId) -> Option<&Name> {
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

impl Number {
    /// The type of fields that hold such numbers.
    pub(super) fn field_type(self) -> FieldType {
        match self {
            Self::Uint(_) => FieldType::Uint,
            Self::Int(_) => FieldType::Int,
        }
    }
}
