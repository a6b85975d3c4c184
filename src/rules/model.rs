//! A rule set as the fold evaluates it: every name resolved, every literal
//! typed.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use alloy::primitives::{Address, B256, I256, Keccak256, U256};
use serde::{Deserialize, Serialize};

use super::{
    again::Every,
    meter::{Meter, Window},
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
}

/// What part of something a user must have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RatioLeaf {
    /// Index into [`RuleSet::meters`]: what the user did.
    pub(super) meter: usize,
    /// Of how much.
    pub(super) over: Tally,
    /// Index into [`RuleSet::tallies`]: where that is.
    pub(super) tally: usize,
    /// Hundredths of a percent: 7,500 are three quarters.
    pub(super) at_least_bps: u64,
    /// Before there is as much as this, nobody has any part.
    pub(super) of_at_least: u64,
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

/// So many tokens in somebody's hands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holding {
    /// The ERC-721 contract.
    pub(super) nft: Name,
    pub(super) at_least: u64,
}

/// A number of the kind its field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Number {
    Uint(U256),
    Int(I256),
}

/// Which leaves an event can touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Meters by contract and event.
    pub(super) by_event: BTreeMap<Name, BTreeMap<Name, Vec<usize>>>,
    /// Places of tallies by contract and event.
    pub(super) tallies: BTreeMap<Name, BTreeMap<Name, Vec<usize>>>,
    /// Achievements by the tally that they look at, each with the meter of those
    /// to whom it matters.
    pub(super) by_tally: Vec<Vec<(usize, usize)>>,
    /// Achievements by the meter that they look at.
    pub(super) by_meter: Vec<Vec<usize>>,
    /// By the ERC-721 contract that is asked about.
    pub(super) by_nft: BTreeMap<Name, Looking>,
    /// The achievement with this id, and those that require it.
    pub(super) by_prerequisite: BTreeMap<U256, (usize, BTreeSet<usize>)>,
}

/// Who looks at the tokens of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looking {
    /// Of the contract among those in [`Index::by_nft`].
    pub(super) place: u32,
    /// Achievements that need tokens.
    pub(super) achievements: BTreeSet<usize>,
    /// Numbers of tokens of which it matters since when somebody has them.
    pub(super) since: BTreeSet<u64>,
}

impl Index {
    pub(super) fn of(achievements: &[Achievement], meters: &[Meter], tallies: &[Tally]) -> Self {
        let by_meter = vec![Vec::new(); meters.len()];
        let mut index = Self { by_meter, ..Self::default() };
        // An anchor's event begins the window that it may count in itself.
        let anchors: BTreeSet<usize> = meters.iter().filter_map(Meter::anchor).collect();
        let (first, then): (Vec<usize>, Vec<usize>) =
            (0..meters.len()).partition(|place| anchors.contains(place));
        for place in first.into_iter().chain(then) {
            let Some(meter) = meters.get(place) else { continue };
            let kinds = meter.signals().flat_map(|signal| &signal.events);
            for EventKind { contract, event } in kinds.collect::<BTreeSet<_>>() {
                let of_contract = index.by_event.entry(contract.clone()).or_default();
                of_contract.entry(event.clone()).or_default().push(place);
            }
            for holding in meter.signals().filter_map(|signal| signal.holding.as_ref()) {
                index.by_nft.entry(holding.nft.clone()).or_default();
            }
        }
        index.by_tally = vec![Vec::new(); tallies.len()];
        for (place, tally) in tallies.iter().enumerate() {
            for EventKind { contract, event } in &tally.kinds {
                let of_contract = index.tallies.entry(contract.clone()).or_default();
                of_contract.entry(event.clone()).or_default().push(place);
            }
        }
        for (a, achievement) in achievements.iter().enumerate() {
            for leaf in &achievement.leaves {
                match leaf {
                    Leaf::Ratio(leaf) => {
                        if let Some(looking) = index.by_tally.get_mut(leaf.tally) {
                            looking.push((a, leaf.meter));
                        }
                        let looking = index.by_meter.get_mut(leaf.meter);
                        if let Some(looking) = looking.filter(|it| !it.contains(&a)) {
                            looking.push(a);
                        }
                    }
                    Leaf::Events(leaf) => {
                        // Where it matters that nothing happened, the anchor matters.
                        let meter = meters.get(leaf.meter);
                        let anchor = meter.and_then(Meter::anchor);
                        // What everybody does breaks a streak that can be lost.
                        let turns = meter.filter(|it| achievement.is_lost_by_turns(it));
                        if let Some(looking) = turns.and_then(|it| index.by_tally.get_mut(it.tally))
                        {
                            looking.push((a, leaf.meter));
                        }
                        for place in anchor.into_iter().chain([leaf.meter]) {
                            let looking = index.by_meter.get_mut(place);
                            if let Some(looking) = looking.filter(|it| !it.contains(&a)) {
                                looking.push(a);
                            }
                        }
                    }
                    Leaf::Holds(HoldsLeaf { tokens, held_for }) => {
                        let looking = index.by_nft.entry(tokens.nft.clone()).or_default();
                        looking.achievements.insert(a);
                        looking.since.extend(held_for.map(|_| tokens.at_least));
                    }
                }
            }
            for required in &achievement.requires {
                if let Ok(first) = achievements.binary_search_by(|it| it.name.cmp(required)) {
                    let entry = index.by_prerequisite.entry(achievements[first].id);
                    entry.or_insert((first, BTreeSet::new())).1.insert(a);
                }
            }
        }
        for (looking, place) in index.by_nft.values_mut().zip(0..) {
            looking.place = place;
        }
        index
    }
}

impl Achievement {
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
            // Of what the ratio comes to, in hundredths of a percent.
            Self::Ratio(leaf) => Bound::AtLeast(Number::Uint(U256::from(leaf.at_least_bps))),
            Self::Holds(leaf) => Bound::AtLeast(Number::Uint(U256::from(leaf.tokens.at_least))),
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
