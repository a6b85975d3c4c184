//! Who looks at what: which meters, tallies and achievements an event can touch.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::U256;

use super::{
    meter::{Measure, Meter},
    model::Achievement,
    number::Number,
    places::Places,
    tree::{EventKind, Having, Holding, HoldsLeaf, Leaf, Over, Tally},
};
use crate::domain::Name;

/// Which leaves an event can touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Meters by contract and event, those together that ask for the same of it.
    pub(super) by_event: BTreeMap<Name, BTreeMap<Name, Vec<Alike>>>,
    /// Places of tallies by contract and event.
    pub(super) tallies: BTreeMap<Name, BTreeMap<Name, Vec<usize>>>,
    /// Achievements by the tally that they look at, each with the meter of those
    /// to whom it matters.
    pub(super) by_tally: Vec<Vec<(usize, usize)>>,
    /// Achievements by the meter that they look at, whatever it shows.
    pub(super) by_meter: Vec<Places>,
    /// Achievements that need nothing but that a meter shows so much, by the meter, those
    /// first that need the least.
    pub(super) by_shown: Vec<Vec<(Number, usize)>>,
    /// By the contract, and what of it is asked about.
    pub(super) by_holding: BTreeMap<Name, BTreeMap<Having, Looking>>,
    /// The achievement with this id, and those that require it.
    pub(super) by_prerequisite: BTreeMap<U256, (usize, Places)>,
}

/// Places of meters that an event counts for alike: for the same user, if it meets the
/// same. Sequences, which ask each step anew, stand alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) first: usize,
    pub(super) others: Vec<usize>,
}

impl Alike {
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// Who looks at what users have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looking {
    /// Among all in [`Index::by_holding`].
    pub(super) place: u32,
    /// Achievements that need it.
    pub(super) achievements: Places,
    /// How much of it must be had for some time.
    pub(super) since: BTreeSet<U256>,
    /// Whoever has none of it is nobody's delegator.
    pub(super) weighs: bool,
}

impl Index {
    pub(super) fn of(achievements: &[Achievement], meters: &[Meter], tallies: &[Tally]) -> Self {
        let by_meter = vec![Places::default(); meters.len()];
        let by_shown = vec![Vec::new(); meters.len()];
        let mut index = Self { by_meter, by_shown, ..Self::default() };
        // An anchor's event begins the window that it may count in itself.
        let anchors: BTreeSet<usize> = meters.iter().filter_map(Meter::anchor).collect();
        let (first, then): (Vec<usize>, Vec<usize>) =
            (0..meters.len()).partition(|place| anchors.contains(place));
        let is_alike = |a: usize, b: usize| {
            let signal = |place: usize| {
                let meter = meters.get(place).filter(|_| !anchors.contains(&place))?;
                (!matches!(meter.measure, Measure::Sequence(_))).then_some(&meter.signal)
            };
            signal(a).is_some_and(|a| signal(b) == Some(a))
        };
        for place in first.into_iter().chain(then) {
            let Some(meter) = meters.get(place) else { continue };
            let kinds = meter.signals().flat_map(|signal| &signal.events);
            for EventKind { contract, event } in kinds.collect::<BTreeSet<_>>() {
                let of_contract = index.by_event.entry(contract.clone()).or_default();
                let groups = of_contract.entry(event.clone()).or_default();
                match groups.iter_mut().find(|group| is_alike(group.first, place)) {
                    Some(group) => group.others.push(place),
                    None => groups.push(Alike { first: place, others: Vec::new() }),
                }
            }
            for holding in meter.signals().filter_map(|signal| signal.holding.as_ref()) {
                index.holding(holding);
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
            if let Some((meter, needed)) = achievement.is_shown_by(meters) {
                if let Some(looking) = index.by_shown.get_mut(meter) {
                    looking.push((needed, a));
                }
                continue;
            }
            for leaf in &achievement.leaves {
                match leaf {
                    Leaf::Ratio(leaf) => {
                        let own = match &leaf.over {
                            Over::Own(meter) => Some(*meter),
                            Over::Everybody { place, .. } => {
                                if let Some(looking) = index.by_tally.get_mut(*place) {
                                    looking.push((a, leaf.meter));
                                }
                                None
                            }
                        };
                        for meter in own.into_iter().chain([leaf.meter]) {
                            if let Some(looking) = index.by_meter.get_mut(meter) {
                                looking.insert(a);
                            }
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
                            if let Some(looking) = index.by_meter.get_mut(place) {
                                looking.insert(a);
                            }
                        }
                    }
                    // Nothing that happens changes it.
                    Leaf::Listed(_) => {}
                    Leaf::Holds(HoldsLeaf { tokens, held_for }) => {
                        let looking = index.holding(tokens);
                        looking.achievements.insert(a);
                        looking.since.extend(held_for.map(|_| tokens.at_least));
                    }
                }
            }
            for required in &achievement.requires {
                if let Ok(first) = achievements.binary_search_by(|it| it.name.cmp(required)) {
                    let entry = index.by_prerequisite.entry(achievements[first].id);
                    entry.or_insert((first, Places::default())).1.insert(a);
                }
            }
        }
        for of_contract in index.by_holding.values_mut() {
            if of_contract.contains_key(&Having::Delegators) {
                // Events tell of one of the two.
                for what in [Having::Tokens, Having::Amount] {
                    of_contract.entry(what).or_default().weighs = true;
                }
            }
        }
        index.by_shown.iter_mut().for_each(|looking| looking.sort_unstable());
        let all = index.by_holding.values_mut().flat_map(BTreeMap::values_mut);
        for (looking, place) in all.zip(0..) {
            looking.place = place;
        }
        index
    }

    /// Gives each holding the place under which the state keeps it.
    pub(super) fn settle_places(&self, achievements: &mut [Achievement], meters: &mut [Meter]) {
        let leaves = achievements.iter_mut().flat_map(|achievement| &mut achievement.leaves);
        let held = leaves.filter_map(|leaf| match leaf {
            Leaf::Holds(leaf) => Some(&mut leaf.tokens),
            _ => None,
        });
        let signals = meters.iter_mut().flat_map(Meter::signals_mut);
        for of in held.chain(signals.filter_map(|signal| signal.holding.as_mut())) {
            let looking = self.by_holding.get(&of.contract).and_then(|it| it.get(&of.what));
            of.place = looking.map_or(Holding::UNPLACED, |looking| looking.place);
        }
    }

    fn holding(&mut self, of: &Holding) -> &mut Looking {
        let of_contract = self.by_holding.entry(of.contract.clone()).or_default();
        of_contract.entry(of.what).or_default()
    }
}
