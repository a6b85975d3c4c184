//! A rule set as the fold evaluates it: every name resolved, every literal
//! typed.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use alloy::primitives::{Address, B256, I256, Keccak256, U256};
use serde::{Deserialize, Serialize};

use super::{
    again::Every,
    index::Index,
    links::Links,
    meter::{Aggregate, Measure, Meter, Window},
    proposals::Followed,
};
pub use crate::domain::{OnRetract, Urgency};
use crate::{
    domain::{FieldType, Name, UnlockId},
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

/// A tree over an achievement's leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Index into [`Achievement::leaves`].
    Leaf(usize),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    AtLeast(usize, Vec<Condition>),
    /// The leaf's events did not come so far, and can't any more: its window is
    /// over.
    Not(usize),
    Score {
        at_least: U256,
        members: Vec<Scored>,
    },
}

/// What gives points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scored {
    /// So many for each that a leaf's meter shows.
    Each { points: u64, leaf: usize },
    /// So many while a condition holds.
    Once { points: u64, condition: Condition },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// A user's events have come far enough.
    Events(EventLeaf),
    /// Enough tokens in a user's hands.
    Holds(HoldsLeaf),
    /// A user's events, as a part of everybody's.
    Ratio(RatioLeaf),
    /// Whether the user is on a list.
    Listed(ListedLeaf),
}

/// A list, and whether to be on it or off it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedLeaf {
    pub(super) list: Name,
    pub(super) users: Arc<BTreeSet<Address>>,
    pub(super) among: bool,
}

/// What part of something a user must have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RatioLeaf {
    /// Index into [`RuleSet::meters`]: what the user did.
    pub(super) meter: usize,
    /// Of how much.
    pub(super) over: Over,
    /// Hundredths of a percent: 7,500 are three quarters.
    pub(super) at_least_bps: u64,
    /// Before there is as much as this, nobody has any part.
    pub(super) of_at_least: u64,
}

/// What a part is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// What happened to everybody, and its place in [`RuleSet::tallies`].
    Everybody { tally: Tally, place: usize },
    /// What happened to the user: index into [`RuleSet::meters`].
    Own(usize),
}

/// Events that are the same for everybody, and when they count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tally {
    /// Which.
    pub(super) kinds: BTreeSet<EventKind>,
    pub(super) window: Window,
}

/// What a meter must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventLeaf {
    /// Index into [`RuleSet::meters`].
    pub(super) meter: usize,
    pub(super) bound: Bound,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    AtLeast(Number),
    AtMost(Number),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EventKind {
    pub(super) contract: Name,
    pub(super) event: Name,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.contract, self.event)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HoldsLeaf {
    pub(super) tokens: Holding,
    /// Without a break for so many seconds.
    pub(super) held_for: Option<u64>,
}

/// So much of something in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holding {
    pub(super) what: Having,
    /// Whose.
    pub(super) contract: Name,
    pub(super) at_least: U256,
    /// Under what the state keeps it; [`Self::UNPLACED`] until that is settled for all of a set.
    pub(super) place: u32,
}

impl Holding {
    /// Nothing is kept under it.
    pub(super) const UNPLACED: u32 = u32::MAX;
}

/// What users have of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Having {
    /// ERC-721 tokens.
    Tokens,
    /// The ERC-721 token with this id.
    Token(U256),
    /// An amount of an ERC-20 token.
    Amount,
    /// An amount of a type of tokens, as of ERC-1155.
    Item(U256),
    /// Attestations of a schema by somebody, as of EAS.
    Attestations { schema: B256, attester: Address },
    /// Others that have any of it and let the user vote with it.
    Delegators,
}

/// A number of the kind its field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Number {
    Uint(U256),
    Int(I256),
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

impl Leaf {
    /// What must be shown.
    pub(super) fn bound(&self) -> Bound {
        match self {
            Self::Events(leaf) => leaf.bound,
            Self::Listed(_) => Bound::AtLeast(Number::Uint(U256::from(1))),
            // Of what the ratio comes to, in hundredths of a percent.
            Self::Ratio(leaf) => Bound::AtLeast(Number::Uint(U256::from(leaf.at_least_bps))),
            Self::Holds(leaf) => Bound::AtLeast(Number::Uint(leaf.tokens.at_least)),
        }
    }
}

/// Numbers of one kind in their order; kinds are never mixed.
impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Uint(a), Self::Uint(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Uint(_), Self::Int(_)) => Ordering::Greater,
            (Self::Int(_), Self::Uint(_)) => Ordering::Less,
        }
    }
}

impl Number {
    /// How much less there is; zero when nothing lacks.
    pub(super) fn less(self, shown: Option<Self>) -> U256 {
        match (shown, self) {
            (None, Self::Uint(needed)) => needed,
            (Some(Self::Uint(have)), Self::Uint(needed)) => needed.saturating_sub(have),
            // The difference of two signed numbers always fits unsigned.
            (Some(Self::Int(have)), Self::Int(needed)) if have < needed => {
                needed.into_raw().wrapping_sub(have.into_raw())
            }
            _ => U256::ZERO,
        }
    }

    /// Nothing, as fields of a type hold it.
    pub(super) fn zero(field_type: &FieldType) -> Self {
        match field_type {
            FieldType::Int => Self::Int(I256::ZERO),
            _ => Self::Uint(U256::ZERO),
        }
    }
}
