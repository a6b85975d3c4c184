//! What a leaf does with the fields of its events: tests and measures, each
//! checked against the events' schemas.

use alloy::primitives::U256;

use super::{
    catalog::CatalogContract,
    document::{Errors, Node, Table},
    error::{Problem, suggest},
    limits, literal,
    meter::{Aggregate, Measure},
    number::Number,
    predicate::{self, Relation, Term},
    tree::{Bound, EventKind},
};
use crate::domain::{EventSchema, FieldType, Value};

const COMPARISONS: [&str; 7] = ["eq", "ne", "gt", "gte", "lt", "lte", "in"];

/// An event that a leaf names, with what it looks like.
pub(super) struct Named<'c> {
    pub(super) kind: EventKind,
    pub(super) contract: &'c CatalogContract,
    pub(super) schema: &'c EventSchema,
}

impl Named<'_> {
    fn label(&self) -> String {
        format!("{}.{}", self.kind.contract, self.kind.event)
    }
}

/// An event of a contract, or the report that it has none.
pub(super) fn event<'c>(
    contract_name: &str,
    contract: &'c CatalogContract,
    event_name: &str,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<&'c EventSchema> {
    let found = contract.event(event_name);
    if found.is_none() {
        let problem = Problem::UnknownEvent {
            contract: contract_name.to_owned(),
            kind: contract.kind.clone(),
            event: event_name.to_owned(),
        };
        let known = contract.events.iter().map(|schema| schema.name.as_str());
        let remedy = suggest(event_name, known, "give the contract an ABI that has it");
        errors.report(node, problem, remedy);
    }
    found
}

/// The type of a field that all named events have alike.
pub(super) fn field_type(
    named: &[Named<'_>],
    field: &str,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<FieldType> {
    let mut common: Option<&FieldType> = None;
    for event in named {
        let Some(found) = event.schema.field(field) else {
            let problem = Problem::UnknownField { event: event.label(), field: field.to_owned() };
            let known = event.schema.fields.iter().map(|field| field.name.as_str());
            let remedy = suggest(field, known, "the event has no fields");
            errors.report(node, problem, remedy);
            return None;
        };
        if let Some(common) = common.filter(|common| *common != found) {
            let needed = format!("{common}, as in `{}`", named.first()?.label());
            wrong_field(std::slice::from_ref(event), field, found.clone(), &needed, node, errors);
            return None;
        }
        common = Some(found);
    }
    common.cloned()
}

pub(super) fn wrong_field(
    named: &[Named<'_>],
    field: &str,
    found: FieldType,
    needed: &str,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) {
    let Some(event) = named.first() else { return };
    let fitting = event.schema.fields.iter().filter(|f| f.field_type.to_string() == needed);
    let known: Vec<&str> = fitting.map(|field| field.name.as_str()).collect();
    let remedy = match known.is_empty() {
        true => format!("choose another event of contract kind {}", event.contract.kind),
        false => format!("fields that fit: `{}`", known.join("`, `")),
    };
    let (event, field) = (event.label(), field.to_owned());
    let problem = Problem::WrongFieldType { event, field, found, needed: needed.to_owned() };
    errors.report(node, problem, remedy);
}

/// What events must meet: an expression, or a table of tests.
pub(super) fn filter(
    named: &[Named<'_>],
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<Term> {
    if node.value.as_str().is_some() {
        return predicate::read(named, node, errors);
    }
    let remedy = "write where = \"<expression>\", or where = { <field> = { gte = <value> } }";
    let table = node.table(errors, remedy)?;
    let mut tests = Some(Vec::new());
    for (field, node) in table.nodes() {
        let Some(field_type) = field_type(named, field, &node, errors) else {
            tests = None;
            continue;
        };
        let comparisons = match node.table(&mut Errors::new("", ""), "") {
            Some(table) => {
                table.deny_others(&COMPARISONS, errors);
                if table.entries.is_empty() {
                    errors.report(&node, Problem::Empty { key: field.to_owned() }, remedy);
                    tests = None;
                }
                table.nodes().filter(|(word, _)| COMPARISONS.contains(word)).collect()
            }
            None => vec![("eq", node)],
        };
        for (word, literal) in comparisons {
            match comparison(word, named, field, &field_type, &literal, errors) {
                Some(term) => {
                    if let Some(tests) = &mut tests {
                        tests.push((field, word, term));
                    }
                }
                None => tests = None,
            }
        }
    }
    let mut tests = tests?;
    // The order of a table means nothing.
    tests.sort_by_key(|(field, word, _)| (*field, *word));
    Some(Term::All(tests.into_iter().map(|(_, _, term)| term).collect()))
}

fn comparison(
    word: &str,
    named: &[Named<'_>],
    field: &str,
    field_type: &FieldType,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<Term> {
    let term = Term::field(field, field_type.clone());
    let relation = match word {
        "in" => {
            let remedy = "list the values: in = [1, 2]";
            let list = node.list(errors, "values", limits::ENTRIES, remedy)?;
            let values: Vec<_> =
                list.iter().map(|node| one_value(field_type, node, errors)).collect();
            let mut values = values.into_iter().collect::<Option<Vec<_>>>()?;
            // The order of a list means nothing.
            values.sort_by_key(|value| value.to_json().to_string());
            values.dedup();
            let values = values.into_iter().map(Term::Literal).collect();
            return Some(Term::OneOf(Box::new(term), values));
        }
        "ne" => Relation::NotEqual,
        "gt" => Relation::Greater,
        "gte" => Relation::AtLeast,
        "lt" => Relation::Less,
        "lte" => Relation::AtMost,
        _ => Relation::Equal,
    };
    if relation.is_order() && !is_number(field_type) {
        wrong_field(named, field, field_type.clone(), "an unsigned integer", node, errors);
        return None;
    }
    Some(Term::compare(relation, term, one_value(field_type, node, errors)?))
}

pub(super) fn one_value(
    field_type: &FieldType,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<Value> {
    match literal::value(field_type, node.value) {
        Ok(value) => Some(value),
        Err((problem, remedy)) => {
            errors.report(node, problem, remedy);
            None
        }
    }
}

/// What is counted, and how far it must come: as a tier says, where there are
/// tiers.
pub(super) fn measure(
    named: &[Named<'_>],
    table: &Table<'_>,
    tier: Option<&Node<'_>>,
    errors: &mut Errors<'_>,
) -> Option<(Measure, Bound)> {
    let given = |key: &'static str| table.get(key).map(|node| (key, node));
    let aggregates = [Aggregate::Sum, Aggregate::Max, Aggregate::Min];
    let of = aggregates.iter().find_map(|it| Some((*it, table.get(it.word())?)));
    if let Some((aggregate, node)) = of {
        let counts = ["count", "distinct"].into_iter().chain(aggregates.iter().map(|it| it.word()));
        let keys: Vec<&'static str> = counts.filter_map(given).map(|(key, _)| key).collect();
        if keys.len() > 1 {
            let remedy = "make two conditions of it, under `all`";
            errors.report(&node, Problem::Conflict { keys }, remedy);
            return None;
        }
        return aggregated(aggregate, named, &node, tier, errors);
    }
    let at_least = match (table.get("count"), tier) {
        (Some(node), Some(_)) => {
            let keys = vec!["count", "tiers"];
            errors.report(&node, Problem::Conflict { keys }, "let each tier say its `at_least`");
            return None;
        }
        (Some(node), None) => node.count(errors, limits::COUNT),
        (None, Some(tier)) => tier.count(errors, limits::COUNT),
        (None, None) => Some(1),
    };
    let bound = |at_least: u64| Bound::AtLeast(Number::Uint(U256::from(at_least)));
    let Some(node) = table.get("distinct") else { return Some((Measure::Count, bound(at_least?))) };
    let field = node.text(errors, "name the field whose values are counted once each")?;
    let field_type = field_type(named, field, &node, errors)?;
    if matches!(field_type, FieldType::List(_) | FieldType::Tuple(_)) {
        wrong_field(named, field, field_type, "a plain field", &node, errors);
        return None;
    }
    Some((Measure::Distinct { field: field.to_owned(), field_type }, bound(at_least?)))
}

fn aggregated(
    aggregate: Aggregate,
    named: &[Named<'_>],
    node: &Node<'_>,
    tier: Option<&Node<'_>>,
    errors: &mut Errors<'_>,
) -> Option<(Measure, Bound)> {
    let word = aggregate.word();
    let remedy = format!("write {word} = {{ field = \"weight\", gte = \"1000e18\" }}");
    let table = node.table(errors, &remedy)?;
    // A sum that is small enough is so before anything happened.
    let bounds: &[&str] = match aggregate {
        _ if tier.is_some() => &[],
        Aggregate::Sum => &["gte"],
        Aggregate::Max | Aggregate::Min => &["gte", "lte"],
    };
    table.deny_others(&[&["field"], bounds].concat(), errors);
    let field_node = table.require("field", errors, &remedy);
    let given: Vec<(&str, Node<'_>)> =
        table.nodes().filter(|(key, _)| bounds.contains(key)).collect();
    let (bound_word, bound) = match (given.as_slice(), tier) {
        (_, Some(tier)) => ("gte", tier.clone()),
        ([one], None) => one.clone(),
        ([], None) => {
            table.require("gte", errors, &remedy);
            return None;
        }
        (_, None) => {
            errors.report(node, Problem::Conflict { keys: vec!["gte", "lte"] }, "keep one of them");
            return None;
        }
    };
    let field_node = field_node?;
    let field = field_node.text(errors, &remedy)?;
    let found = field_type(named, field, &field_node, errors)?;
    if !is_number(&found) {
        wrong_field(named, field, found, "an unsigned integer", &field_node, errors);
        return None;
    }
    match literal::number(&found, bound.value) {
        Ok(number) => {
            let bound = match bound_word {
                "lte" => Bound::AtMost(number),
                _ => Bound::AtLeast(number),
            };
            Some((Measure::Of { aggregate, field: field.to_owned(), field_type: found }, bound))
        }
        Err((problem, remedy)) => {
            errors.report(&bound, problem, remedy);
            None
        }
    }
}

pub(super) fn is_number(field_type: &FieldType) -> bool {
    matches!(field_type, FieldType::Uint | FieldType::Int)
}
