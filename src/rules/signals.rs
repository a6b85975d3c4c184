//! Compiling what a condition asks of events and tokens.

use super::{
    catalog::CatalogContract,
    conditions::{Conditions, contract},
    document::{Errors, Node, Table},
    error::Problem,
    fields::{Named, event, field_type, filter, measure, wrong_field},
    limits,
    meter::{Measure, Meter, Signal, Window},
    predicate::Term,
    spans,
    tree::{EventKind, EventLeaf},
};
use crate::domain::{EventSchema, FieldType, Name};

pub(super) const EVENT_KEYS: [&str; 14] = [
    "event", "subject", "where", "holding", "count", "distinct", "sum", "max", "min", "from", "to",
    "last", "within", "streak",
];
/// What may say whose events count.
pub(super) const SIGNAL_KEYS: [&str; 4] = ["event", "subject", "where", "holding"];
/// What may name the events of an anchor.
const ANCHOR_KEYS: [&str; 3] = ["event", "subject", "where"];
pub(super) const EVENT_REMEDY: &str = "write \"<contract>.<event>\", or a list of such";

/// Whose events count, and at what holdings.
pub(super) struct Asked<'c> {
    pub(super) named: Vec<Named<'c>>,
    pub(super) signal: Signal,
}

impl Asked<'_> {
    pub(super) fn counted(self, measure: Measure, window: Window) -> Meter {
        Meter {
            signal: self.signal,
            measure,
            window,
            enough: None,
            is_anchor: false,
            tally: 0,
            has_members: false,
        }
    }
}

impl<'c> Conditions<'c, '_> {
    /// Events that have come far enough.
    pub(super) fn events(
        &mut self,
        table: &Table<'_>,
        tier: Option<&Node<'_>>,
        errors: &mut Errors<'_>,
    ) -> Option<EventLeaf> {
        table.deny_others(&EVENT_KEYS, errors);
        let signal = self.signal(table, errors);
        let window = self.window(table, errors);
        let signal = signal?;
        let mut window = window?;
        let (measure, bound) = match table.get("streak") {
            Some(node) => {
                // It knows its own days, weeks and months.
                if matches!(window, Window::Each(_)) {
                    window = Window::Always;
                }
                self.streak(&node, table, tier, errors)?
            }
            None => measure(&signal.named, table, tier, errors)?,
        };
        let meter = self.meters.place(signal.counted(measure, window), Some(bound));
        Some(EventLeaf { meter, bound })
    }

    /// Whose events count: what stands in a leaf beside how many and when.
    pub(super) fn signal(&self, table: &Table<'_>, errors: &mut Errors<'_>) -> Option<Asked<'c>> {
        let events = table.require("event", errors, EVENT_REMEDY);
        let named = events.and_then(|node| self.named_events(&node, errors));
        let remedy = "name the address field that earns, like subject = \"voter\"";
        let subject = table.require("subject", errors, remedy);
        let holding = match table.get("holding") {
            Some(node) => {
                let remedy = "write holding = { nft = \"<contract>\", at_least = 1 }, or token = \"<contract>\"";
                let inner = node.table(errors, remedy);
                inner.and_then(|table| self.holding(&table, &[], remedy, errors)).map(Some)
            }
            None => Some(None),
        };
        // Without its events nothing more can be said of a leaf's fields.
        let named = named?;
        let subject = subject.and_then(|node| {
            let field = node.text(errors, remedy)?;
            let found = field_type(&named, field, &node, errors)?;
            if found == FieldType::Address {
                return Some(field.to_owned());
            }
            wrong_field(&named, field, found, "an address", &node, errors);
            None
        });
        let filter = match table.get("where") {
            Some(node) => filter(&named, &node, errors),
            None => Some(Term::All(Vec::new())),
        };
        let events = named.iter().map(|named| named.kind.clone()).collect();
        let (subject, filter, holding) = (subject?, filter?, holding?);
        Some(Asked { signal: Signal { events, subject, filter, holding }, named })
    }

    /// When events count.
    pub(super) fn window(&mut self, table: &Table<'_>, errors: &mut Errors<'_>) -> Option<Window> {
        let windows = ["last", "within", "from", "to"];
        let given: Vec<&'static str> =
            windows.into_iter().filter(|key| table.get(key).is_some()).collect();
        match given.as_slice() {
            [] => Some(self.period.map_or(Window::Always, Window::Each)),
            ["last"] => {
                Some(Window::Last { seconds: spans::seconds(&table.get("last")?, errors)? })
            }
            ["within"] => self.within(&table.get("within")?, errors),
            ["from" | "to"] | ["from", "to"] => {
                let mut bound = |key| match table.get(key) {
                    Some(node) => spans::time(&node, errors).map(Some),
                    None => Some(None),
                };
                let (from, to) = (bound("from"), bound("to"));
                let (from, to) = (from?, to?);
                if let (Some(begins), Some(ends)) = (from, to)
                    && ends <= begins
                {
                    let remedy = "let `to` be after `from`";
                    errors.report(&table.get("to")?, Problem::EmptyWindow, remedy);
                    return None;
                }
                Some(Window::Between { from, to })
            }
            several => {
                let node = table.get(several.first()?)?;
                let problem = Problem::Conflict { keys: several.to_vec() };
                errors.report(
                    &node,
                    problem,
                    "choose one window: `last`, `within`, or `from` and `to`",
                );
                None
            }
        }
    }

    /// So long after the user's first of other events.
    fn within(&mut self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<Window> {
        let remedy = "write within = { span = \"7d\", after = { event = \"…\", subject = \"…\" } }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["span", "after"], errors);
        let span = table.require("span", errors, remedy);
        let seconds = span.and_then(|node| spans::seconds(&node, errors));
        let after = table.require("after", errors, remedy)?.table(errors, remedy)?;
        after.deny_others(&ANCHOR_KEYS, errors);
        let anchor = self.signal(&after, errors)?.counted(Measure::Count, Window::Always);
        let of = self.meters.place(anchor, None);
        Some(Window::Within { seconds: seconds?, of })
    }

    /// One event or several; `None` when any of them was reported.
    pub(super) fn named_events(
        &self,
        node: &Node<'_>,
        errors: &mut Errors<'_>,
    ) -> Option<Vec<Named<'c>>> {
        let nodes = match node.value {
            toml::de::DeValue::Array(_) => {
                node.list(errors, "events", limits::ENTRIES, EVENT_REMEDY)?
            }
            _ => vec![node.clone()],
        };
        let named: Vec<Option<Vec<Named<'c>>>> =
            nodes.iter().map(|node| self.named_event(node, errors)).collect();
        let named: Option<Vec<Vec<Named<'c>>>> = named.into_iter().collect();
        Some(named?.into_iter().flatten().collect())
    }

    /// A contract's event; of a group of governors, that of each member that
    /// has it.
    fn named_event(&self, node: &Node<'_>, errors: &mut Errors<'_>) -> Option<Vec<Named<'c>>> {
        let text = node.text(errors, EVENT_REMEDY)?;
        let Some((contract_name, event_name)) = text.split_once('.') else {
            let problem = Problem::BadEventReference { text: text.to_owned() };
            errors.report(node, problem, EVENT_REMEDY);
            return None;
        };
        let named = |name: &'c Name, contract: &'c CatalogContract, schema: &'c EventSchema| {
            let kind = EventKind { contract: name.clone(), event: schema.name.clone() };
            Named { kind, contract, schema }
        };
        if let Some(members) = self.catalog.groups.get(contract_name) {
            let members: Vec<_> = members
                .iter()
                .filter_map(|member| self.catalog.contracts.get_key_value(member))
                .collect();
            let having: Vec<_> = members
                .iter()
                .filter_map(|(name, contract)| {
                    Some(named(name, contract, contract.event(event_name)?))
                })
                .collect();
            if having.is_empty() {
                // Told with the newest one's events.
                let (_, contract) = members.last()?;
                event(contract_name, contract, event_name, node, errors);
                return None;
            }
            return Some(having);
        }
        let (name, contract) = contract(self.catalog, contract_name, node, errors)?;
        let schema = event(contract_name, contract, event_name, node, errors)?;
        Some(vec![named(name, contract, schema)])
    }
}
