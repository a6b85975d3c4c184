//! What part of something a user took: voted on three of four proposals that
//! ended.

use std::collections::BTreeSet;

use alloy::primitives::U256;

use super::{
    conditions::Conditions,
    document::{Errors, Node},
    error::Problem,
    fields, limits,
    memory::View,
    meter::{Measure, Meter, Window},
    model::{Achievement, Mode, RuleSet},
    number::Number,
    signals::Asked,
    tally,
    tree::{Bound, Leaf, Over, RatioLeaf, Tally},
};

/// What a user took of what there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) taken: u64,
    pub(super) of: u64,
    /// There is not enough yet for anybody to have a part.
    pub(super) is_early: bool,
}

impl Part {
    /// In hundredths of a percent, rounded down.
    pub(super) fn bps(self) -> u64 {
        if self.is_early || self.of == 0 {
            return 0;
        }
        let bps = u128::from(self.taken) * 10_000 / u128::from(self.of);
        u64::try_from(bps).unwrap_or(u64::MAX)
    }
}

impl RuleSet {
    /// What a user took of what a ratio is about.
    pub(super) fn part(&self, view: &View<'_>, leaf: &RatioLeaf) -> Part {
        let taken = self.meter(leaf.meter).map_or(0, |placed| placed.shown(view).total);
        let of = match &leaf.over {
            Over::Own(meter) => self.meter(*meter).map_or(0, |placed| placed.shown(view).total),
            Over::Everybody { tally, place } => {
                tally::within(view.state, *place, &tally.window, view.now)
            }
        };
        Part { taken, of, is_early: of < leaf.of_at_least }
    }
}

/// The tallies that streaks and ratios look at, each once; tells who looks at
/// which.
pub(super) fn tallies(meters: &mut [Meter], achievements: &mut [Achievement]) -> Vec<Tally> {
    let mut tallies: BTreeSet<Tally> = meters.iter().filter_map(Meter::tally_of_turns).collect();
    let leaves = achievements.iter().flat_map(|achievement| &achievement.leaves);
    tallies.extend(leaves.filter_map(|leaf| match leaf {
        Leaf::Ratio(RatioLeaf { over: Over::Everybody { tally, .. }, .. }) => Some(tally.clone()),
        _ => None,
    }));
    let tallies: Vec<Tally> = tallies.into_iter().collect();
    let place = |tally: &Tally| tallies.binary_search(tally).unwrap_or_default();
    for meter in &mut *meters {
        if let Some(tally) = meter.tally_of_turns() {
            meter.tally = place(&tally);
        }
    }
    for achievement in &mut *achievements {
        for leaf in &mut achievement.leaves {
            let meter = match leaf {
                Leaf::Ratio(RatioLeaf { over: Over::Own(_), .. }) => continue,
                Leaf::Ratio(RatioLeaf {
                    over: Over::Everybody { tally, place: at },
                    meter,
                    ..
                }) => {
                    *at = place(tally);
                    *meter
                }
                Leaf::Events(leaf) => leaf.meter,
                Leaf::Holds(_) | Leaf::Listed(_) => continue,
            };
            let is_ratio = matches!(leaf, Leaf::Ratio(_));
            let mode = achievement.mode;
            if let Some(meter) = meters.get_mut(meter) {
                let is_lost = mode == Mode::While && meter.tally_of_turns().is_some();
                meter.has_members |= is_ratio || is_lost;
            }
        }
    }
    tallies
}

impl<'c> Conditions<'c, '_> {
    /// Events of a user as a part of everybody's.
    pub(super) fn ratio(&mut self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<RatioLeaf> {
        let remedy = "write ratio = { of = { event = …, subject = … }, \
                      over = \"<contract>.<event>\", gte = \"75%\", at_least = 4 }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["of", "over", "gte", "at_least", "from", "to", "last"], errors);
        let of = table.require("of", errors, remedy);
        let over = table.require("over", errors, remedy);
        let gte = table.require("gte", errors, remedy).and_then(|node| percent(&node, errors));
        let of_at_least = match table.get("at_least") {
            Some(node) => node.count(errors, limits::COUNT),
            None => Some(1),
        };
        let window = self.window(&table, errors);
        if matches!(window, Some(Window::Each(_))) {
            let problem = Problem::Conflict { keys: vec!["every", "ratio"] };
            errors.report(
                node,
                problem,
                "say of which time it is a part: `last`, or `from` and `to`",
            );
            return None;
        }
        let own = over.as_ref().is_some_and(|node| node.value.as_table().is_some());
        let kinds = match &over {
            Some(node) if !own => self.named_events(node, errors),
            _ => Some(Vec::new()),
        };
        let own = match over.filter(|_| own) {
            Some(node) => self.counted_of(&node, errors).map(Some),
            None => Some(None),
        };
        let (asked, measure) = self.counted_of(&of?, errors)?;
        let (window, own) = (window?, own?);
        let kinds = kinds?.into_iter().map(|named| named.kind).collect();
        // More always makes a difference.
        let endless = Some(Bound::AtMost(Number::Uint(U256::MAX)));
        let over = match own {
            Some((asked, measure)) => {
                Over::Own(self.meters.place(asked.counted(measure, window.clone()), endless))
            }
            None => Over::Everybody { tally: Tally { kinds, window: window.clone() }, place: 0 },
        };
        let meter = self.meters.place(asked.counted(measure, window), endless);
        let (at_least_bps, of_at_least) = (gte?, of_at_least?);
        Some(RatioLeaf { meter, over, at_least_bps, of_at_least })
    }

    /// Events of a user that are counted.
    fn counted_of(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<(Asked<'c>, Measure)> {
        let remedy = "write { event = …, subject = … }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["event", "subject", "where", "holding", "distinct"], errors);
        let asked = self.signal(&table, errors)?;
        let (measure, _) = fields::measure(&asked.named, &table, None, errors)?;
        Some((asked, measure))
    }
}

/// A part like "75%", in hundredths of a percent.
fn percent(node: &Node<'_>, errors: &mut Errors<'_>) -> Option<u64> {
    let remedy = "write a part in percent, in quotes: \"75%\" or \"66.5%\"";
    let text = node.text(errors, remedy)?;
    let bps = || {
        let number = text.trim().strip_suffix('%')?.trim_end();
        let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(rest) || whole.is_empty() || rest.len() > 2 {
            return None;
        }
        let rest: u64 = format!("{rest:0<2}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(rest)
    };
    match bps() {
        Some(bps) if (1..=10_000).contains(&bps) => Some(bps),
        Some(_) => {
            let (min, max) = ("0.01%".to_owned(), "100%".to_owned());
            let problem = Problem::OutOfRange { number: text.to_owned(), min, max };
            errors.report(node, problem, "choose a part within");
            None
        }
        None => {
            let problem = Problem::BadTime { text: text.to_owned(), expected: "part" };
            errors.report(node, problem, remedy);
            None
        }
    }
}
