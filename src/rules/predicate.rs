//! Predicates: typed expressions over one event, in 256-bit integers.
//!
//! Written as a CEL expression ([`read`]) or as a table of tests
//! ([`tests`](super::fields::tests)); both become a [`Term`], so that they
//! mean the same and have one canonical spelling, its `Display`.
//!
//! What can't be computed (a field that is missing, an overflow, a division by
//! zero) is undefined. As in CEL, `false && x` is false and `true || x` is true
//! even then; a predicate that stays undefined is not met.

mod evaluate;
mod read;

use std::fmt;

pub(super) use read::read;

use crate::domain::{FieldType, Value};

/// A typed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// A field, or a member of a struct: its names from the outside in.
    Field {
        path: Vec<String>,
        field_type: FieldType,
    },
    /// Of the block that the event is in.
    Block(BlockPart),
    Literal(Value),
    Not(Box<Term>),
    All(Vec<Term>),
    Any(Vec<Term>),
    Compare(Relation, Box<Term>, Box<Term>),
    /// Whether an item is one of the terms.
    OneOf(Box<Term>, Vec<Term>),
    /// Whether a list has an item.
    Has {
        list: Box<Term>,
        item: Box<Term>,
    },
    Arithmetic(Operation, Box<Term>, Box<Term>),
    Negated(Box<Term>),
    If {
        condition: Box<Term>,
        then: Box<Term>,
        otherwise: Box<Term>,
    },
    /// The item of a list.
    Item {
        list: Box<Term>,
        index: u64,
    },
    /// Of a text in characters, of bytes, or of a list.
    Size(Box<Term>),
    Text(TextTest, Box<Term>, Box<Term>),
    ToInt(Box<Term>),
    ToUint(Box<Term>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockPart {
    Number,
    Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Greater,
    AtLeast,
    Less,
    AtMost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

impl Relation {
    /// Whether it says which of two is greater.
    pub(super) fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
        }
    }
}

impl Operation {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl TextTest {
    fn function(self) -> &'static str {
        match self {
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
        }
    }
}

impl Term {
    /// A field by its name.
    pub(super) fn field(name: &str, field_type: FieldType) -> Self {
        Self::Field { path: vec![name.to_owned()], field_type }
    }

    /// A comparison with a value.
    pub(super) fn compare(relation: Relation, term: Self, value: Value) -> Self {
        Self::Compare(relation, Box::new(term), Box::new(Self::Literal(value)))
    }

    /// Whether nothing is asked.
    pub(super) fn is_always(&self) -> bool {
        matches!(self, Self::All(terms) if terms.is_empty())
    }
}

/// As it would stand in a CEL expression, with all parentheses.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, terms: &[Self], with: &str| {
            for (index, term) in terms.iter().enumerate() {
                if index > 0 {
                    f.write_str(with)?;
                }
                write!(f, "{term}")?;
            }
            Ok(())
        };
        match self {
            Self::Field { path, .. } => f.write_str(&path.join(".")),
            Self::Block(BlockPart::Number) => f.write_str("block.number"),
            Self::Block(BlockPart::Time) => f.write_str("block.time"),
            Self::Literal(Value::Uint(n)) => n.fmt(f),
            Self::Literal(Value::Int(n)) => n.fmt(f),
            Self::Literal(value) => value.to_json().fmt(f),
            Self::Not(term) => write!(f, "!({term})"),
            Self::All(terms) if terms.is_empty() => f.write_str("true"),
            Self::Any(terms) if terms.is_empty() => f.write_str("false"),
            Self::All(terms) | Self::Any(terms) if terms.len() == 1 => joined(f, terms, ""),
            Self::All(terms) => joined(f, terms, " && "),
            Self::Any(terms) => {
                f.write_str("(")?;
                joined(f, terms, " || ")?;
                f.write_str(")")
            }
            Self::Compare(relation, a, b) => write!(f, "{a} {} {b}", relation.symbol()),
            Self::OneOf(item, terms) => {
                write!(f, "{item} in [")?;
                joined(f, terms, ", ")?;
                f.write_str("]")
            }
            Self::Has { list, item } => write!(f, "{item} in {list}"),
            Self::Arithmetic(operation, a, b) => write!(f, "({a} {} {b})", operation.symbol()),
            Self::Negated(term) => write!(f, "-({term})"),
            Self::If { condition, then, otherwise } => {
                write!(f, "({condition} ? {then} : {otherwise})")
            }
            Self::Item { list, index } => write!(f, "{list}[{index}]"),
            Self::Size(term) => write!(f, "size({term})"),
            Self::Text(test, text, part) => write!(f, "{text}.{}({part})", test.function()),
            Self::ToInt(term) => write!(f, "int({term})"),
            Self::ToUint(term) => write!(f, "uint({term})"),
        }
    }
}
