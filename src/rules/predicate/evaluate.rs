//! What a term comes to for an event.

use std::{borrow::Cow, cmp::Ordering};

use alloy::primitives::{I256, U256};

use super::{BlockPart, Operation, Relation, Term, TextTest};
use crate::{
    domain::{FieldType, Value},
    rules::facts::Facts,
};

/// There is no such value.
struct Undefined;

type Defined<T> = Result<T, Undefined>;

impl Term {
    /// Whether an event meets it.
    pub(in crate::rules) fn is_met(&self, event: &Facts<'_>) -> bool {
        matches!(self.truth(event), Ok(true))
    }

    fn truth(&self, event: &Facts<'_>) -> Defined<bool> {
        match self {
            Self::Not(term) => Ok(!term.truth(event)?),
            Self::All(terms) => decided(terms, event, false),
            Self::Any(terms) => decided(terms, event, true),
            Self::Compare(relation, a, b) => {
                relation.holds(a.value(event)?.as_ref(), b.value(event)?.as_ref())
            }
            Self::OneOf(item, terms) => {
                let item = item.value(event)?;
                let mut undefined = false;
                for term in terms {
                    match term.value(event) {
                        Ok(value) if value == item => return Ok(true),
                        Ok(_) => {}
                        Err(Undefined) => undefined = true,
                    }
                }
                if undefined { Err(Undefined) } else { Ok(false) }
            }
            Self::Has { list, item } => {
                let (list, item) = (list.value(event)?, item.value(event)?);
                let Value::List(items) = &*list else { return Err(Undefined) };
                Ok(items.contains(&item))
            }
            Self::Text(test, text, part) => {
                let (text, part) = (text.value(event)?, part.value(event)?);
                let (Value::Text(text), Value::Text(part)) = (&*text, &*part) else {
                    return Err(Undefined);
                };
                Ok(match test {
                    TextTest::StartsWith => text.starts_with(part),
                    TextTest::EndsWith => text.ends_with(part),
                    TextTest::Contains => text.contains(part),
                })
            }
            Self::If { condition, then, otherwise } => {
                if condition.truth(event)? {
                    then.truth(event)
                } else {
                    otherwise.truth(event)
                }
            }
            other => match &*other.value(event)? {
                Value::Bool(truth) => Ok(*truth),
                _ => Err(Undefined),
            },
        }
    }

    fn value<'a>(&'a self, event: &'a Facts<'_>) -> Defined<Cow<'a, Value>> {
        let owned = match self {
            Self::Literal(value) => return Ok(Cow::Borrowed(value)),
            Self::Field { path, field_type } => return read(event, path, field_type),
            Self::Block(BlockPart::Number) => Value::Uint(U256::from(event.event.block.number)),
            Self::Block(BlockPart::Time) => Value::Uint(U256::from(event.event.block.time)),
            Self::Arithmetic(operation, a, b) => {
                operation.result(a.value(event)?.as_ref(), b.value(event)?.as_ref())?
            }
            Self::Negated(term) => match &*term.value(event)? {
                Value::Int(n) => Value::Int(n.checked_neg().ok_or(Undefined)?),
                _ => return Err(Undefined),
            },
            Self::If { condition, then, otherwise } => {
                let term = if condition.truth(event)? { then } else { otherwise };
                return term.value(event);
            }
            Self::Item { list, index } => match &*list.value(event)? {
                Value::List(items) => {
                    let at = usize::try_from(*index).map_err(|_| Undefined)?;
                    items.get(at).cloned().ok_or(Undefined)?
                }
                _ => return Err(Undefined),
            },
            Self::Size(term) => {
                let size = match &*term.value(event)? {
                    Value::Text(text) => text.chars().count(),
                    Value::Bytes(bytes) => bytes.len(),
                    Value::List(items) => items.len(),
                    _ => return Err(Undefined),
                };
                Value::Uint(U256::from(size))
            }
            Self::ToInt(term) => match &*term.value(event)? {
                Value::Uint(n) => Value::Int(I256::try_from(*n).map_err(|_| Undefined)?),
                Value::Int(n) => Value::Int(*n),
                _ => return Err(Undefined),
            },
            Self::ToUint(term) => match &*term.value(event)? {
                Value::Int(n) => Value::Uint(U256::try_from(*n).map_err(|_| Undefined)?),
                Value::Uint(n) => Value::Uint(*n),
                _ => return Err(Undefined),
            },
            Self::Not(_)
            | Self::All(_)
            | Self::Any(_)
            | Self::Compare(..)
            | Self::OneOf(..)
            | Self::Has { .. }
            | Self::Text(..) => Value::Bool(self.truth(event)?),
        };
        Ok(Cow::Owned(owned))
    }
}

/// The terms' conjunction or disjunction: `deciding` of one term decides, and
/// what is undefined only counts when nothing does.
fn decided(terms: &[Term], event: &Facts<'_>, deciding: bool) -> Defined<bool> {
    let mut undefined = false;
    for term in terms {
        match term.truth(event) {
            Ok(truth) if truth == deciding => return Ok(deciding),
            Ok(_) => {}
            Err(Undefined) => undefined = true,
        }
    }
    if undefined { Err(Undefined) } else { Ok(!deciding) }
}

/// A field that is missing or not of its schema's type is undefined.
fn read<'a>(
    event: &'a Facts<'_>,
    path: &[String],
    field_type: &FieldType,
) -> Defined<Cow<'a, Value>> {
    let (first, rest) = path.split_first().ok_or(Undefined)?;
    if rest.is_empty() {
        return event.value(first, field_type).ok_or(Undefined);
    }
    let mut json = event.event.fields.get(first).ok_or(Undefined)?;
    for member in rest {
        json = json.get(member).ok_or(Undefined)?;
    }
    Value::from_json(field_type, json).map(Cow::Owned).map_err(|_| Undefined)
}

impl Relation {
    fn holds(self, a: &Value, b: &Value) -> Defined<bool> {
        let order = || match (a, b) {
            (Value::Uint(a), Value::Uint(b)) => Ok(a.cmp(b)),
            (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
            _ => Err(Undefined),
        };
        Ok(match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Greater => order()? == Ordering::Greater,
            Self::AtLeast => order()?.is_ge(),
            Self::Less => order()? == Ordering::Less,
            Self::AtMost => order()?.is_le(),
        })
    }
}

impl Operation {
    fn result(self, a: &Value, b: &Value) -> Defined<Value> {
        let result = match (a, b) {
            (Value::Uint(a), Value::Uint(b)) => match self {
                Self::Add => a.checked_add(*b),
                Self::Subtract => a.checked_sub(*b),
                Self::Multiply => a.checked_mul(*b),
                Self::Divide => a.checked_div(*b),
                Self::Remainder => a.checked_rem(*b),
            }
            .map(Value::Uint),
            (Value::Int(a), Value::Int(b)) => match self {
                Self::Add => a.checked_add(*b),
                Self::Subtract => a.checked_sub(*b),
                Self::Multiply => a.checked_mul(*b),
                Self::Divide => a.checked_div(*b),
                Self::Remainder => a.checked_rem(*b),
            }
            .map(Value::Int),
            _ => None,
        };
        result.ok_or(Undefined)
    }
}
