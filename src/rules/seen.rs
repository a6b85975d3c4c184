//! What must be unique in a set: names and ids.

use std::collections::BTreeMap;

use alloy::primitives::U256;

use super::{
    again::Every,
    document::{Errors, Node},
    error::Problem,
    literal,
    number::Number,
    prerequisites::Required,
};
use crate::domain::{FieldType, Name};

pub(super) const NAME_REMEDY: &str = "give a name in quotes, like \"first-vote\"";
pub(super) const ID_REMEDY: &str = "give the id in the achievements contract, like id = 1";

/// What must be unique, with the offset where it stands first, and who
/// requires whom.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) names: BTreeMap<Name, usize>,
    /// By the first of them that belong to one achievement, with the last.
    ids: BTreeMap<U256, (U256, usize)>,
    pub(super) requires: Required<'a>,
}

/// A name that nothing else in the set has: of a tier, with its achievement's
/// before it.
pub(super) fn unique_name(
    node: &Node<'_>,
    of: Option<&Name>,
    seen: &mut Seen<'_>,
    errors: &mut Errors<'_>,
) -> Option<Name> {
    let own = node.name(errors, NAME_REMEDY)?;
    let name = match of.map(|of| Name::new(format!("{of}-{own}"))) {
        None => own,
        Some(Ok(name)) => name,
        Some(Err(error)) => {
            errors.report(node, error.into(), "choose a shorter name");
            return None;
        }
    };
    let first = *seen.names.entry(name.clone()).or_insert(node.span.start);
    unique("name", name.to_string(), first, node, errors).then_some(name)
}

/// An id that nothing else in the set has; nor those after it that the instances
/// of an achievement take that can be earned again.
pub(super) fn unique_id(
    node: &Node<'_>,
    every: Option<Every>,
    seen: &mut Seen<'_>,
    errors: &mut Errors<'_>,
) -> Option<U256> {
    let id = match literal::number(&FieldType::Uint, node.value) {
        Ok(Number::Uint(id)) => id,
        Ok(Number::Int(_)) => return None,
        Err((problem, _)) => {
            errors.report(node, problem, ID_REMEDY);
            return None;
        }
    };
    let Some(last) = every.map_or(Some(id), |every| every.last_id(id)) else {
        let (min, max) = ("0".to_owned(), "2^256 - cap".to_owned());
        errors.report(node, Problem::OutOfRange { number: id.to_string(), min, max }, ID_REMEDY);
        return None;
    };
    // Of those that begin before its end, the last one ends last.
    let before = seen.ids.range(..=last).next_back();
    if let Some((_, (_, first))) = before.filter(|(_, (end, _))| *end >= id) {
        let value = if last == id { id.to_string() } else { format!("{id} to {last}") };
        return unique("id", value, *first, node, errors).then_some(id);
    }
    seen.ids.insert(id, (last, node.span.start));
    Some(id)
}

/// Whether `node` is where the value stands first.
fn unique(
    what: &'static str,
    value: String,
    first: usize,
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> bool {
    if first != node.span.start {
        let problem = Problem::Duplicate { what, value, first_line: errors.line(first) };
        errors.report(node, problem, format!("choose another {what}"));
    }
    first == node.span.start
}
