//! Achievements that are one's own while a condition is met.

use super::{
    memory::{self, Counted, Kept, Key, State, View},
    meter::{Measure, Window},
    model::{Achievement, RuleSet},
    streak::Turn,
    tally,
    tree::{Leaf, Over},
    unlock::{Lapse, Unlock},
    verdict::Verdict,
    who::Who,
};
use crate::fold::Stored;

impl RuleSet {
    /// Looks again at an achievement that a user has: gives it up when its condition
    /// is met no more.
    pub(super) fn keep_or_lose(
        &self,
        who: &mut Who,
        index: usize,
        now: u64,
        log: Option<&Counted>,
        state: &mut State,
        output: &mut Vec<Unlock>,
    ) {
        let Some(achievement) = self.achievements.get(index) else { return };
        let view = who.view(state, now);
        let verdict = self.verdict(&view, achievement);
        if verdict == Verdict::Holds {
            let changes = self.changes(&view, achievement);
            return who.wait(state, index, changes);
        }
        let key = Key::Has(memory::place(index), who.address);
        // Restoring has checked it.
        let had = state.value(&key).and_then(|it| Unlock::from_bytes(it.bytes()?).ok());
        if let Some(Unlock { request, .. }) = had {
            let log = log.map(|log| log.item().clone());
            output.push(Unlock { request, time: now, lapsed: Some(Box::new(Lapse { log })) });
        }
        state.set(key, None);
        who.lose(state, index);
        let later = self.later(&who.view(state, now), index, verdict);
        who.wait(state, index, later);
    }

    /// Notes what a user has, to be looked at again.
    pub(super) fn keep(
        &self,
        who: &mut Who,
        index: usize,
        now: u64,
        unlock: &Unlock,
        state: &mut State,
    ) {
        let Some(achievement) = self.achievements.get(index) else { return };
        let key = Key::Has(memory::place(index), who.address);
        state.set(key, Some(Kept::Bytes(unlock.to_bytes().into())));
        let changes = self.changes(&who.view(state, now), achievement);
        who.wait(state, index, changes);
    }

    /// The first time after now at which a part that an achievement looks at can change
    /// by time alone.
    pub(super) fn ratios_change(&self, view: &View<'_>, achievement: &Achievement) -> Option<u64> {
        let ratios = achievement.leaves.iter().filter(|leaf| matches!(leaf, Leaf::Ratio(_)));
        ratios.filter_map(|leaf| self.leaf_changes(view, leaf)).min()
    }

    /// The first time after now at which what an achievement looks at can change by
    /// time alone.
    fn changes(&self, view: &View<'_>, achievement: &Achievement) -> Option<u64> {
        achievement.leaves.iter().filter_map(|leaf| self.leaf_changes(view, leaf)).min()
    }

    fn leaf_changes(&self, view: &View<'_>, leaf: &Leaf) -> Option<u64> {
        match leaf {
            // For how long they were held only ever grows.
            Leaf::Holds(_) | Leaf::Listed(_) => None,
            Leaf::Events(leaf) => self.meter_changes(view, leaf.meter),
            Leaf::Ratio(leaf) => {
                let of = match &leaf.over {
                    Over::Own(meter) => self.meter_changes(view, *meter),
                    Over::Everybody { tally, place } => {
                        tally::forgets(view.state, *place, &tally.window, view.now)
                    }
                };
                self.meter_changes(view, leaf.meter).into_iter().chain(of).min()
            }
        }
    }

    fn meter_changes(&self, view: &View<'_>, place: usize) -> Option<u64> {
        let placed = self.meter(place)?;
        match (&placed.meter.measure, &placed.meter.window) {
            (_, Window::Last { seconds }) => {
                let oldest = placed.entries(view, *seconds).next()?;
                Some(oldest.time + seconds)
            }
            (Measure::Streak { turn: Turn::Calendar(period), .. }, _) => period.next(view.now),
            // Of what is complete it counts no more how long it took, and what is
            // not can only become so by an event.
            _ => None,
        }
    }
}
