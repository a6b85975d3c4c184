//! Meters: what is counted of each user's events.
//!
//! Achievements that ask for the same with other numbers (a first vote, the
//! tenth, the hundredth) look at one meter, so that an event is counted once.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    number::Number,
    period::Period,
    predicate::Term,
    sequence::Sequence,
    streak::Turn,
    tree::{Bound, EventKind, Holding, Tally},
};
use crate::domain::FieldType;

/// Which events count, for whom and at what holdings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signal {
    /// The event kinds that count, in order, without repetition.
    pub(super) events: BTreeSet<EventKind>,
    /// The address field that earns.
    pub(super) subject: String,
    /// What each event must meet.
    pub(super) filter: Term,
    /// What the user must hold at the event.
    pub(super) holding: Option<Holding>,
}

/// What is counted, of which events and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meter {
    pub(super) signal: Signal,
    pub(super) measure: Measure,
    pub(super) window: Window,
    /// Nobody asks for more than this, so that the state of a user stays small: a
    /// meter stands still there, and a rolling window has no more entries than
    /// that. `None` where more makes a difference.
    pub(super) enough: Option<Number>,
    /// Its first event begins the window of another.
    pub(super) is_anchor: bool,
    /// The place of the tally that a streak looks at.
    pub(super) tally: usize,
    /// Whoever has counted anything must be found.
    pub(super) has_members: bool,
}

/// What is made of the matching events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Count,
    Distinct {
        field: String,
        field_type: FieldType,
    },
    Of {
        aggregate: Aggregate,
        field: String,
        field_type: FieldType,
    },
    /// The latest turns with an event, of which no more than `grace` are missed.
    Streak {
        turn: Turn,
        grace: u64,
    },
    /// The meter's events, then others, in this order.
    Sequence(Sequence),
}

/// How the numbers in a field become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Max,
    Min,
}

/// Which of the matching events count, by the time of their blocks in seconds
/// since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Window {
    Always,
    /// From one time on and before another.
    Between {
        from: Option<u64>,
        to: Option<u64>,
    },
    /// Those of the present day, week or month.
    Each(Period),
    /// Those so few seconds old, at any time.
    Last {
        seconds: u64,
    },
    /// Those at most so many seconds after the user's first event of a meter.
    Within {
        seconds: u64,
        of: usize,
    },
}

impl Aggregate {
    /// Its key in rule files.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

impl Meter {
    /// Whether what it shows of a user changes with the events that it counts alone, and not
    /// with time or what others do.
    pub(super) fn is_moved_by_its_events(&self) -> bool {
        let window =
            matches!(self.window, Window::Always | Window::Between { .. } | Window::Within { .. });
        let measure =
            matches!(self.measure, Measure::Count | Measure::Distinct { .. } | Measure::Of { .. });
        window && measure
    }

    /// The meter whose first event begins its window.
    pub(super) fn anchor(&self) -> Option<usize> {
        match self.window {
            Window::Within { of, .. } => Some(of),
            _ => None,
        }
    }

    /// What a streak must not miss.
    fn turns(&self) -> Option<&BTreeSet<EventKind>> {
        match &self.measure {
            Measure::Streak { turn: Turn::Each(kinds), .. } => Some(kinds),
            _ => None,
        }
    }

    /// The tally of that.
    pub(super) fn tally_of_turns(&self) -> Option<Tally> {
        Some(Tally { kinds: self.turns()?.clone(), window: Window::Always })
    }

    /// All the events that it looks at.
    pub(super) fn looks_at(&self) -> impl Iterator<Item = &EventKind> {
        let events = self.signals().flat_map(|signal| &signal.events);
        events.chain(self.turns().into_iter().flatten())
    }

    /// The signals that it looks at.
    pub(super) fn signals(&self) -> impl Iterator<Item = &Signal> {
        let others = match &self.measure {
            Measure::Sequence(sequence) => Some(sequence.others()),
            _ => None,
        };
        std::iter::once(&self.signal).chain(others.into_iter().flatten())
    }

    /// The same, to be changed.
    pub(super) fn signals_mut(&mut self) -> impl Iterator<Item = &mut Signal> {
        let others = match &mut self.measure {
            Measure::Sequence(sequence) => Some(sequence.others_mut()),
            _ => None,
        };
        std::iter::once(&mut self.signal).chain(others.into_iter().flatten())
    }

    /// The type of what it shows.
    pub(super) fn shows(&self) -> FieldType {
        match &self.measure {
            Measure::Of { field_type, .. } => field_type.clone(),
            _ => FieldType::Uint,
        }
    }

    /// Whether there is a point beyond which more makes no difference.
    fn has_enough(&self) -> bool {
        let rolls = matches!(self.window, Window::Last { .. });
        match &self.measure {
            // The latest so many are as good as all of them.
            Measure::Count | Measure::Distinct { .. } => true,
            // It can be lost again.
            Measure::Streak { .. } => false,
            // It ends by itself.
            Measure::Sequence(_) => false,
            Measure::Of { .. } if rolls => false,
            Measure::Of { aggregate: Aggregate::Sum, field_type, .. } => {
                *field_type == FieldType::Uint
            }
            Measure::Of { aggregate: Aggregate::Max, .. } => true,
            Measure::Of { aggregate: Aggregate::Min, .. } => false,
        }
    }
}

/// The meters of a set while it is compiled, by what they mean.
#[derive(Debug, Default)]
pub(super) struct Meters {
    all: Vec<(String, Meter)>,
    places: BTreeMap<String, usize>,
}

impl Meters {
    /// The place of a meter, for somebody who asks for a number.
    pub(super) fn place(&mut self, meter: Meter, bound: Option<Bound>) -> usize {
        let meaning = super::canonical::meaning(&meter, |of| self.text(of));
        let next = self.all.len();
        let place = *self.places.entry(meaning.clone()).or_insert(next);
        if place == next {
            let enough = meter.has_enough().then(|| Number::zero(&meter.shows()));
            self.all.push((meaning, Meter { enough, ..meter }));
        }
        if let Some((_, meter)) = self.all.get_mut(place) {
            meter.enough = match (meter.enough, bound) {
                (Some(enough), Some(Bound::AtLeast(asked))) => Some(enough.max(asked)),
                (enough, None) => enough,
                (_, Some(Bound::AtMost(_))) | (None, _) => None,
            };
        }
        place
    }

    /// Has a meter go on at least so far. Whether it shows such a number.
    pub(super) fn ask(&mut self, place: usize, bound: Bound) -> bool {
        let Some((_, meter)) = self.all.get_mut(place) else { return false };
        let Bound::AtLeast(asked) = bound else { return false };
        meter.enough = meter.enough.map(|enough| enough.max(asked));
        meter.shows() == FieldType::Uint
    }

    /// Whether a meter's window begins with something that the user did.
    pub(super) fn is_anchored(&self, place: usize) -> bool {
        self.all.get(place).is_some_and(|(_, meter)| meter.anchor().is_some())
    }

    /// What a meter means.
    pub(super) fn text(&self, place: usize) -> &str {
        self.all.get(place).map_or("", |(meaning, _)| meaning)
    }

    /// The meters in the order of their meanings, and where each place is then:
    /// the order in a file means nothing.
    pub(super) fn finish(self) -> (Vec<Meter>, Vec<usize>) {
        let order: BTreeMap<&String, usize> = self.places.keys().zip(0..).collect();
        let moved: Vec<usize> =
            self.all.iter().filter_map(|(meaning, _)| order.get(meaning).copied()).collect();
        let mut meters: Vec<(usize, Meter)> = moved
            .iter()
            .zip(&self.all)
            .map(|(place, (_, meter))| (*place, meter.clone()))
            .collect();
        meters.sort_by_key(|(place, _)| *place);
        let moved_to = |place: usize| moved.get(place).copied().unwrap_or(place);
        let anchors: BTreeSet<usize> =
            meters.iter().filter_map(|(_, meter)| meter.anchor()).map(moved_to).collect();
        let settled = |(place, mut meter): (usize, Meter)| {
            meter.is_anchor = anchors.contains(&place);
            if let Window::Within { of, .. } = &mut meter.window {
                *of = moved_to(*of);
            }
            meter
        };
        (meters.into_iter().map(settled).collect(), moved)
    }
}
