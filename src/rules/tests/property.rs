//! Any rule over any history decides what a naive reader of it decides, who
//! looks at everything anew at each second and after each event.

use alloy::primitives::{Address, U256};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::world::{World, ballot, compiled, set_of, user};
use crate::rules::memory::{self, State};

/// One event.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Vote {
        voter: u8,
        proposal: u64,
        support: u8,
        weight: u64,
    },
    Rate {
        member: u8,
        points: i64,
    },
    /// A badge goes to somebody, wherever it was.
    Badge {
        token: u64,
        to: u8,
    },
}

/// An event at a second.
type History = Vec<(u64, What)>;

/// What can be counted.
#[derive(Clone, Debug)]
enum Measure {
    Votes(u64),
    Proposals(u64),
    WeightSum(u64),
    WeightMaxAtMost(u64),
    WeightMaxAtLeast(u64),
    WeightMinAtLeast(u64),
    PointsSum(i64),
    /// Of votes, one each rating of anybody.
    Streak(u64, u64),
}

#[derive(Clone, Debug)]
enum Window {
    Always,
    Between(u64, u64),
    Last(u64),
    WithinOfRating(u64),
}

#[derive(Clone, Debug)]
pub(super) struct Events {
    measure: Measure,
    window: Window,
    in_favour: bool,
    holding: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Rule {
    Events(Events),
    Holds {
        at_least: u64,
        held_for: Option<u64>,
    },
    Not(Events),
    All(Vec<Rule>),
    Any(Vec<Rule>),
    AtLeast(usize, Vec<Rule>),
    Score(u64, Vec<(u64, Rule)>),
    /// Steps in order, so many seconds long at most, with nothing of a kind between.
    Sequence(Vec<Step>, Option<u64>, Option<Step>),
    /// Votes, as so many percent of at least so many ratings of anybody, of the last so
    /// many seconds.
    Part(u64, u64, Option<u64>),
}

/// What a step of a sequence can be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Vote,
    /// On the proposal.
    VoteOn(u64),
    Rate,
}

impl Step {
    fn toml(self) -> String {
        match self {
            Self::Vote => "event = \"dao.vote_cast\", subject = \"voter\"".to_owned(),
            Self::VoteOn(proposal) => {
                format!("{}, where = \"proposal_id == {proposal}\"", Self::Vote.toml())
            }
            Self::Rate => "event = \"contributions.rated\", subject = \"member\"".to_owned(),
        }
    }

    fn is(self, what: &What, who: u8) -> bool {
        match (self, what) {
            (Self::Vote, What::Vote { voter, .. }) => *voter == who,
            (Self::VoteOn(on), What::Vote { voter, proposal, .. }) => {
                *voter == who && *proposal == on
            }
            (Self::Rate, What::Rate { member, .. }) => *member == who,
            _ => false,
        }
    }
}

/// Whether there are such steps somewhere in a history.
fn has_sequence(
    history: &[(u64, What)],
    who: u8,
    (steps, within, between): (&[Step], Option<u64>, Option<Step>),
    first: Option<u64>,
) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    for (at, (time, what)) in history.iter().enumerate() {
        let in_time = first.is_none_or(|first| within.is_none_or(|within| time - first <= within));
        let follows = || {
            let first = Some(first.unwrap_or(*time));
            has_sequence(&history[at + 1..], who, (rest, within, between), first)
        };
        let breaks = between.is_some_and(|step| step.is(what, who));
        // What comes last is not between, nor what comes first.
        let is_between = breaks && first.is_some() && !rest.is_empty();
        if step.is(what, who) && in_time && !is_between && follows() {
            return true;
        }
        if breaks && first.is_some() {
            return false;
        }
    }
    false
}

/// The Unix time at which histories begin: some reach into the next day.
const BEGIN: u64 = DAY - 20;
const DAY: u64 = 86_400;

impl Events {
    fn toml(&self) -> String {
        let (event, subject) = match self.measure {
            Measure::PointsSum(_) => ("contributions.rated", "member"),
            _ => ("dao.vote_cast", "voter"),
        };
        let mut keys = vec![format!("event = \"{event}\", subject = \"{subject}\"")];
        keys.push(match self.measure {
            Measure::Votes(count) => format!("count = {count}"),
            Measure::Proposals(count) => format!("distinct = \"proposal_id\", count = {count}"),
            Measure::WeightSum(gte) => format!("sum = {{ field = \"weight\", gte = {gte} }}"),
            Measure::WeightMaxAtMost(lte) => format!("max = {{ field = \"weight\", lte = {lte} }}"),
            Measure::WeightMaxAtLeast(gte) => {
                format!("max = {{ field = \"weight\", gte = {gte} }}")
            }
            Measure::WeightMinAtLeast(gte) => {
                format!("min = {{ field = \"weight\", gte = {gte} }}")
            }
            Measure::PointsSum(gte) => format!("sum = {{ field = \"points\", gte = {gte} }}"),
            Measure::Streak(length, grace) => format!(
                "streak = {{ of = \"contributions.rated\", length = {length}, grace = {grace} }}"
            ),
        });
        let time = |at: u64| {
            let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(at).unwrap()).unwrap();
            at.format(&time::format_description::well_known::Rfc3339).unwrap()
        };
        match self.window {
            Window::Always => {}
            Window::Between(from, to) => {
                keys.push(format!("from = {}, to = {}", time(from), time(to)));
            }
            Window::Last(seconds) => keys.push(format!("last = \"{seconds}s\"")),
            Window::WithinOfRating(seconds) => keys.push(format!(
                "within = {{ span = \"{seconds}s\", after = {{ event = \"contributions.rated\", \
                 subject = \"member\" }} }}"
            )),
        }
        if self.in_favour && !matches!(self.measure, Measure::PointsSum(_)) {
            keys.push("where = \"support == 1\"".into());
        }
        if self.holding {
            keys.push("holding = { nft = \"badge\" }".into());
        }
        keys.join(", ")
    }

    /// What counts of a history: (time, proposal, number).
    fn counting(
        &self,
        history: &[(u64, What)],
        who: u8,
        now: u64,
        daily: bool,
    ) -> Vec<(u64, u64, i64)> {
        let daily = daily && !matches!(self.measure, Measure::Streak(..));
        let rated =
            |(_, what): &&(u64, What)| matches!(what, What::Rate { member, .. } if *member == who);
        let anchor = history.iter().find(rated).map(|(time, _)| *time);
        let mut counting = Vec::new();
        for (index, (time, what)) in history.iter().enumerate() {
            let (proposal, number) = match (&self.measure, what) {
                (Measure::PointsSum(_), What::Rate { member, points }) if *member == who => {
                    (0, *points)
                }
                (Measure::PointsSum(_), _) => continue,
                (_, What::Vote { voter, proposal, support, weight })
                    if *voter == who && (!self.in_favour || *support == 1) =>
                {
                    let number = match self.measure {
                        Measure::Streak(..) => ratings(&history[..=index]),
                        _ => *weight,
                    };
                    (*proposal, i64::try_from(number).unwrap())
                }
                _ => continue,
            };
            let in_window = match self.window {
                Window::Always => !daily || time / DAY == now / DAY,
                Window::Between(from, to) => (from..to).contains(time),
                Window::Last(seconds) => time + seconds > now,
                Window::WithinOfRating(seconds) => {
                    // Not before its anchor.
                    history[..=index].iter().any(|it| rated(&it))
                        && anchor.is_some_and(|anchor| time - anchor <= seconds)
                }
            };
            let holds = !self.holding || held(&history[..index], who) > 0;
            if in_window && holds {
                counting.push((*time, proposal, number));
            }
        }
        counting
    }

    fn holds(&self, history: &[(u64, What)], who: u8, now: u64, daily: bool) -> bool {
        let counting = self.counting(history, who, now, daily);
        let numbers = || counting.iter().map(|(_, _, number)| *number);
        let weight = |number: u64| i64::try_from(number).unwrap();
        // A sum of nothing is zero, once there is something that it is of.
        let has_begun =
            !matches!(self.window, Window::WithinOfRating(_)) || rating_of(history, who);
        let may_be = |sum: i64, gte: i64| has_begun && sum >= gte;
        match self.measure {
            Measure::Votes(count) => counting.len() as u64 >= count,
            Measure::Proposals(count) => {
                let mut proposals: Vec<u64> = counting.iter().map(|it| it.1).collect();
                proposals.sort_unstable();
                proposals.dedup();
                proposals.len() as u64 >= count
            }
            Measure::WeightSum(gte) => may_be(numbers().sum(), weight(gte)),
            Measure::WeightMaxAtMost(lte) => numbers().max().is_some_and(|it| it <= weight(lte)),
            Measure::WeightMaxAtLeast(gte) => numbers().max().is_some_and(|it| it >= weight(gte)),
            Measure::WeightMinAtLeast(gte) => numbers().min().is_some_and(|it| it >= weight(gte)),
            Measure::PointsSum(gte) => may_be(numbers().sum(), gte),
            Measure::Streak(length, grace) => {
                let turns: std::collections::BTreeSet<i64> = numbers().collect();
                let Some(last) = turns.last() else { return false };
                let end = *last.max(&(weight(ratings(history)) - 1));
                turns.iter().any(|first| {
                    let hits = turns.range(first..).count() as u64;
                    hits >= length && weight(hits + grace) > end - first
                })
            }
        }
    }

    /// Whether nothing can count any more.
    fn is_over(&self, history: &[(u64, What)], who: u8, now: u64) -> bool {
        match self.window {
            Window::Between(_, to) => now >= to,
            Window::WithinOfRating(seconds) => history
                .iter()
                .find(|(_, what)| matches!(what, What::Rate { member, .. } if *member == who))
                .is_some_and(|(first, _)| now > first + seconds),
            _ => false,
        }
    }
}

/// Whether somebody was rated.
fn rating_of(history: &[(u64, What)], who: u8) -> bool {
    history.iter().any(|(_, what)| matches!(what, What::Rate { member, .. } if *member == who))
}

/// Ratings of anybody.
fn ratings(history: &[(u64, What)]) -> u64 {
    history.iter().filter(|(_, what)| matches!(what, What::Rate { .. })).count() as u64
}

/// Badges in somebody's hands after a history.
fn held(history: &[(u64, What)], who: u8) -> u64 {
    let mut owners = std::collections::BTreeMap::new();
    for (_, what) in history {
        if let What::Badge { token, to } = what {
            owners.insert(token, to);
        }
    }
    owners.values().filter(|owner| ***owner == who).count() as u64
}

impl Rule {
    pub(super) fn toml(&self) -> String {
        let list = |rules: &[Rule]| {
            let rules: Vec<String> =
                rules.iter().map(|it| format!("{{ {} }}", it.toml())).collect();
            rules.join(", ")
        };
        match self {
            Self::Events(events) => events.toml(),
            Self::Holds { at_least, held_for } => {
                let held_for = held_for.map(|it| format!(", for = \"{it}s\"")).unwrap_or_default();
                format!("holds = {{ nft = \"badge\", at_least = {at_least}{held_for} }}")
            }
            Self::Not(events) => format!("not = {{ {} }}", events.toml()),
            Self::All(rules) => format!("all = [{}]", list(rules)),
            Self::Any(rules) => format!("any = [{}]", list(rules)),
            Self::AtLeast(count, rules) => format!("at_least = {count}, of = [{}]", list(rules)),
            Self::Part(percent, at_least, last) => {
                let last = last.map(|it| format!(", last = \"{it}s\"")).unwrap_or_default();
                format!(
                    "ratio = {{ of = {{ event = \"dao.vote_cast\", subject = \"voter\" }}, \
                     over = \"contributions.rated\", gte = \"{percent}%\", at_least = {at_least}{last} }}"
                )
            }
            Self::Sequence(steps, within, between) => {
                let steps: Vec<String> =
                    steps.iter().map(|step| format!("{{ {} }}", step.toml())).collect();
                let within = within.map(|it| format!(", within = \"{it}s\""));
                let between = between.map(|it| format!(", not_between = {{ {} }}", it.toml()));
                format!(
                    "sequence = {{ of = [{}]{}{} }}",
                    steps.join(", "),
                    within.unwrap_or_default(),
                    between.unwrap_or_default()
                )
            }
            Self::Score(gte, rules) => {
                let rules: Vec<String> = rules
                    .iter()
                    .map(|(points, rule)| {
                        format!("{{ points = {points}, once = {{ {} }} }}", rule.toml())
                    })
                    .collect();
                format!("score = {{ gte = {gte}, of = [{}] }}", rules.join(", "))
            }
        }
    }

    /// Whether there is a part of something in it.
    fn has_part(&self) -> bool {
        match self {
            Self::Part(..) => true,
            Self::Sequence(..) | Self::Events(_) | Self::Holds { .. } | Self::Not(_) => false,
            Self::All(rules) | Self::Any(rules) | Self::AtLeast(_, rules) => {
                rules.iter().any(Self::has_part)
            }
            Self::Score(_, rules) => rules.iter().any(|(_, rule)| rule.has_part()),
        }
    }

    /// `daily`: what has no window counts of the present day alone.
    fn holds(&self, history: &[(u64, What)], who: u8, now: u64, daily: bool) -> bool {
        let on = |rule: &Rule| rule.holds(history, who, now, daily);
        match self {
            Self::Events(events) => events.holds(history, who, now, daily),
            Self::Not(events) => {
                events.is_over(history, who, now) && !events.holds(history, who, now, daily)
            }
            Self::All(rules) => rules.iter().all(on),
            Self::Any(rules) => rules.iter().any(on),
            Self::AtLeast(count, rules) => rules.iter().filter(|it| on(it)).count() >= *count,
            Self::Sequence(steps, within, between) => {
                let today = |it: &&(u64, What)| !daily || it.0 / DAY == now / DAY;
                let history: History = history.iter().filter(today).copied().collect();
                has_sequence(&history, who, (steps.as_slice(), *within, *between), None)
            }
            Self::Part(percent, at_least, last) => {
                let kept = |it: &&(u64, What)| last.is_none_or(|last| it.0 + last > now);
                let history: History = history.iter().filter(kept).copied().collect();
                let history = &history;
                let voted = |(_, what): &&(u64, What)| matches!(what, What::Vote { voter, .. } if *voter == who);
                let (votes, of) = (history.iter().filter(voted).count() as u64, ratings(history));
                of >= *at_least && votes * 100 >= percent * of
            }
            Self::Score(gte, rules) => {
                let points = rules.iter().filter(|(_, rule)| on(rule)).map(|(points, _)| points);
                points.sum::<u64>() >= *gte
            }
            Self::Holds { at_least, held_for } => {
                let has = |until: usize| held(&history[..until], who) >= *at_least;
                let Some(seconds) = held_for else { return has(history.len()) };
                // Since the event after which it was never less.
                let broken = (0..=history.len()).rev().find(|until| !has(*until));
                match broken {
                    Some(last) => {
                        history.get(last).is_some_and(|(since, _)| now - since >= *seconds)
                    }
                    None => false,
                }
            }
        }
    }
}

fn events() -> impl Strategy<Value = Events> {
    let measure = prop_oneof![
        3 => (1..3_u64).prop_map(Measure::Votes),
        2 => (1..3_u64).prop_map(Measure::Proposals),
        1 => (0..9_u64).prop_map(Measure::WeightSum),
        1 => (0..4_u64).prop_map(Measure::WeightMaxAtMost),
        1 => (2..6_u64).prop_map(Measure::WeightMaxAtLeast),
        1 => (1..4_u64).prop_map(Measure::WeightMinAtLeast),
        2 => (-3..5_i64).prop_map(Measure::PointsSum),
        2 => (1..4_u64, 0..2_u64).prop_map(|(length, grace)| Measure::Streak(length, grace)),
    ];
    let window = prop_oneof![
        2 => Just(Window::Always),
        1 => (0..20_u64, 1..20_u64)
            .prop_map(|(from, long)| Window::Between(BEGIN + from, BEGIN + from + long)),
        2 => (1..12_u64).prop_map(Window::Last),
        1 => (1..12_u64).prop_map(Window::WithinOfRating),
    ];
    (measure, window, any::<bool>(), proptest::bool::weighted(0.2)).prop_map(
        |(measure, window, in_favour, holding)| {
            // What is forgotten again makes no streak.
            let window = match (&measure, window) {
                (Measure::Streak(..), Window::Last(_)) => Window::Always,
                // What nothing is enough for must begin with something.
                (
                    Measure::PointsSum(..=0) | Measure::WeightSum(0),
                    Window::WithinOfRating(long),
                ) => Window::WithinOfRating(long),
                (Measure::PointsSum(gte @ ..=0), _) => {
                    Window::WithinOfRating(gte.unsigned_abs() + 3)
                }
                (Measure::WeightSum(0), _) => Window::WithinOfRating(5),
                (_, window) => window,
            };
            Events { measure, window, in_favour, holding }
        },
    )
}

/// Something that need not have come to an end.
fn closing() -> impl Strategy<Value = Events> {
    let closes = |it: &Events| {
        matches!(it.window, Window::Between(..) | Window::WithinOfRating(_))
            && !matches!(it.measure, Measure::Streak(..))
    };
    events().prop_filter("its window must end", closes)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![Just(Step::Vote), (1..4_u64).prop_map(Step::VoteOn), Just(Step::Rate),]
}

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    let leaf = prop_oneof![
        4 => events().prop_map(Rule::Events),
        2 => (1..3_u64, proptest::option::of(1..12_u64))
            .prop_map(|(at_least, held_for)| Rule::Holds { at_least, held_for }),
        2 => (20..101_u64, 1..4_u64, proptest::option::of(3..15_u64))
            .prop_map(|(percent, of, last)| Rule::Part(percent, of, last)),
        3 => (vec(step(), 2..4), proptest::option::of(1..12_u64), proptest::option::of(step()))
            .prop_map(|(steps, within, between)| Rule::Sequence(steps, within, between)),
    ];
    let begins = leaf.clone();
    leaf.prop_recursive(2, 8, 3, move |inner| {
        let several = vec(inner.clone(), 1..4);
        prop_oneof![
            several.clone().prop_map(Rule::All),
            several.clone().prop_map(Rule::Any),
            several.clone().prop_flat_map(|rules| {
                (1..=rules.len()).prop_map(move |count| Rule::AtLeast(count, rules.clone()))
            }),
            (1..6_u64, vec((1..4_u64, inner.clone()), 1..4))
                .prop_map(|(gte, rules)| Rule::Score(gte, rules)),
            (begins.clone(), closing(), inner).prop_map(|(begins, not, rule)| Rule::All(vec![
                begins,
                Rule::Not(not),
                rule
            ])),
        ]
    })
}

fn what() -> impl Strategy<Value = What> {
    let who = 1..4_u8;
    prop_oneof![
        4 => (who.clone(), 1..4_u64, 0..2_u8, 0..6_u64).prop_map(
            |(voter, proposal, support, weight)| What::Vote { voter, proposal, support, weight }
        ),
        1 => (who.clone(), -2..4_i64).prop_map(|(member, points)| What::Rate { member, points }),
        2 => (1..3_u64, who).prop_map(|(token, to)| What::Badge { token, to }),
    ]
}

/// How often something can be earned.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Once,
    /// Once a day, so often.
    Daily(usize),
    /// It can be lost again.
    While,
}

/// Who is found to have earned or lost it, by the second and in order.
fn naive(rule: &Rule, history: &History, end: u64, mode: Mode) -> Vec<(Address, bool)> {
    let mut earned: Vec<(u64, u8, bool)> = Vec::new();
    let mut seen = 0;
    for now in BEGIN..=end {
        loop {
            // Before the second's first event, and after each.
            for who in 1..4 {
                let had = || earned.iter().filter(|(_, other, _)| *other == who);
                let daily = matches!(mode, Mode::Daily(_));
                let has = match mode {
                    Mode::Once => had().count() > 0,
                    Mode::Daily(cap) => {
                        had().count() == cap || had().any(|it| it.0 / DAY == now / DAY)
                    }
                    Mode::While => had().next_back().is_some_and(|(_, _, gained)| *gained),
                };
                let holds = rule.holds(&history[..seen], who, now, daily);
                match mode {
                    Mode::While if holds != has => earned.push((now, who, holds)),
                    Mode::Once | Mode::Daily(_) if holds && !has => earned.push((now, who, true)),
                    _ => {}
                }
            }
            match history.get(seen) {
                Some((time, _)) if *time == now => seen += 1,
                _ => break,
            }
        }
    }
    earned.into_iter().map(|(_, who, gained)| (user(who), gained)).collect()
}

proptest! {
    #[test]
    fn any_rule_over_any_history_decides_as_a_naive_reader_does(
        rule in rule(),
        mode in prop_oneof![
            Just(Mode::Once),
            (1..4_usize).prop_map(Mode::Daily),
            Just(Mode::While),
        ],
        steps in vec((0..4_u64, what()), 1..24),
        idle in vec(any::<bool>(), 24),
        restarts in vec(proptest::bool::weighted(0.2), 24),
    ) {
        let mut time = BEGIN;
        let history: History = steps
            .iter()
            .map(|(seconds, what)| {
                time += seconds;
                (time, *what)
            })
            .collect();
        let end = time + 40;
        let mode = match mode {
            Mode::Daily(_) if rule.has_part() => Mode::Once,
            mode => mode,
        };
        let expected = naive(&rule, &history, end, mode);

        let mode_lines = match mode {
            Mode::Once => String::new(),
            Mode::Daily(cap) => format!("every = \"day\"\ncap = {cap}\n"),
            Mode::While => "mode = \"while\"\n".to_owned(),
        };
        let text = set_of(&format!("{mode_lines}when = {{ {} }}", rule.toml()));
        let mut world = World::new(compiled(&text));
        let mut owners = std::collections::BTreeMap::new();
        let mut earned = Vec::new();
        for ((index, (time, what)), restarts) in history.iter().enumerate().zip(&restarts) {
            if idle[index] && index > 0 {
                earned.extend(world.begin_at(*time));
            }
            let (event, fields) = match what {
                What::Vote { voter, proposal, support, weight } => {
                    ("dao.vote_cast", ballot(*voter, *proposal, *support, &weight.to_string()))
                }
                What::Rate { member, points } => (
                    "contributions.rated",
                    json!({
                        "member": user(*member).to_checksum(None),
                        "points": points.to_string(),
                        "final": true,
                    }),
                ),
                What::Badge { token, to } => {
                    let from = owners.insert(*token, *to);
                    let (to, token) = (user(*to).to_checksum(None), U256::from(*token).to_string());
                    match from {
                        None => ("badge.minted", json!({ "to": to, "token_id": token })),
                        Some(from) => (
                            "badge.transferred",
                            json!({
                                "from": user(from).to_checksum(None), "to": to, "token_id": token,
                            }),
                        ),
                    }
                }
            };
            earned.extend(world.apply_at(*time, event, &fields));
            if *restarts {
                world.state = State::from_saved(world.state.rows()).unwrap();
            }
        }
        earned.extend(world.begin_at(end));
        let told = |it: &crate::rules::Unlock| (it.request.user, it.lapsed.is_none());
        let earned: Vec<(Address, bool)> = earned.iter().map(told).collect();
        prop_assert_eq!(&earned, &expected, "{}", text);
        // Who has it waits for nothing.
        for (who, _) in earned.iter().filter(|_| matches!(mode, Mode::Once)) {
            let known = memory::user(&world.state, *who);
            prop_assert_eq!(known.waits(0), None);
        }
    }
}
