//! Reading a CEL expression into a [`Term`].
//!
//! The `cel` crate parses; what it would evaluate with are integers of 64
//! bits, so types and values are ours. A number in quotes is a number where one
//! is needed: `weight >= "100e18"`.

mod call;
mod parse;

use alloy::primitives::{I256, U256};
use cel::common::ast::{Expr, IdedExpr, LiteralValue, SourceInfo};
use toml::de::DeValue;

use self::parse::{nesting, parse};
use super::{BlockPart, Term};
use crate::{
    domain::{FieldType, Value},
    rules::{
        document::{Errors, Node},
        error::Problem,
        fields::{Named, field_type, is_number},
        limits, literal,
    },
};

/// Reads the expression in `node` about the events `named`; `None` when
/// anything in it was reported.
pub(in crate::rules) fn read(
    named: &[Named<'_>],
    node: &Node<'_>,
    errors: &mut Errors<'_>,
) -> Option<Term> {
    let remedy = "write an expression in quotes, like \"support == 1\"";
    let text = node.text(errors, remedy)?;
    let (count, max) = (text.chars().count(), limits::EXPRESSION_CHARS);
    if count > max {
        let problem = Problem::TooMany { what: "characters of an expression", count, max };
        errors.report(node, problem, "shorten it");
        return None;
    }
    // The parser's own limit comes too late: it looks ahead as deep as it goes.
    let (count, max) = (nesting(text), usize::from(limits::EXPRESSION_DEPTH));
    if count > max {
        let problem = Problem::TooMany { what: "levels of an expression", count, max };
        errors.report(node, problem, "split it");
        return None;
    }
    let (expression, source) = match parse(text) {
        Ok(parsed) => parsed,
        Err(why) => {
            let problem = Problem::BadExpression { part: text.to_owned(), why };
            errors.report(node, problem, "see https://cel.dev for how expressions are written");
            return None;
        }
    };
    let mut reader = Reader { named, node, text, source, errors, depth: 0 };
    reader.of_type(&expression, &FieldType::Bool)
}

struct Reader<'r, 'n, 'c, 'e> {
    named: &'r [Named<'c>],
    node: &'r Node<'n>,
    text: &'r str,
    source: SourceInfo,
    errors: &'r mut Errors<'e>,
    depth: usize,
}

/// A term with its type.
type Typed = (Term, FieldType);

impl Reader<'_, '_, '_, '_> {
    /// A term of a type.
    fn of_type(&mut self, expression: &IdedExpr, wanted: &FieldType) -> Option<Term> {
        let (term, found) = self.typed(expression, Some(wanted))?;
        if found == *wanted {
            return Some(term);
        }
        self.wrong_type(expression, &found, &wanted.to_string())
    }

    /// A term; of literals, one of the type that is wanted, where it can be.
    fn typed(&mut self, expression: &IdedExpr, wanted: Option<&FieldType>) -> Option<Typed> {
        self.depth += 1;
        let typed = if self.depth > usize::from(limits::EXPRESSION_DEPTH) {
            let (what, max) = ("levels of an expression", limits::EXPRESSION_DEPTH.into());
            let problem = Problem::TooMany { what, count: self.depth, max };
            self.errors.report(self.node, problem, "split it");
            None
        } else {
            self.typed_here(expression, wanted)
        };
        self.depth -= 1;
        typed
    }

    fn typed_here(&mut self, expression: &IdedExpr, wanted: Option<&FieldType>) -> Option<Typed> {
        match &expression.expr {
            Expr::Literal(value) => {
                let (value, found) = self.literal(expression, value, wanted)?;
                Some((Term::Literal(value), found))
            }
            Expr::Ident(name) => {
                let found = field_type(self.named, name, self.node, self.errors)?;
                Some((Term::field(name, found.clone()), found))
            }
            Expr::Select(select) if !select.test => {
                self.member(expression, &select.operand, &select.field)
            }
            Expr::Call(call) => self.call(expression, call, wanted),
            Expr::List(_) => self.refuse(expression, "a list stands after `in` only"),
            _ => self.refuse(
                expression,
                "only comparisons, arithmetic, `in` and simple functions are evaluated",
            ),
        }
    }

    fn literal(
        &mut self,
        at: &IdedExpr,
        value: &LiteralValue,
        wanted: Option<&FieldType>,
    ) -> Option<(Value, FieldType)> {
        let text = match value {
            LiteralValue::Boolean(truth) => {
                return Some((Value::Bool(*truth.inner()), FieldType::Bool));
            }
            LiteralValue::Bytes(bytes) => {
                return Some((Value::Bytes(bytes.inner().to_vec().into()), FieldType::Bytes));
            }
            LiteralValue::UInt(n) => {
                return Some((Value::Uint(U256::from(*n.inner())), FieldType::Uint));
            }
            LiteralValue::Null => return self.refuse(at, "no field is ever null"),
            LiteralValue::Double(_) => {
                let quoted = format!("a number like this loses bits: write \"{}\"", self.part(at));
                return self.refuse(at, &quoted);
            }
            LiteralValue::Int(n) => {
                let n = *n.inner();
                match wanted.filter(|wanted| is_number(wanted)) {
                    Some(_) => n.to_string(),
                    None if n < 0 => {
                        return Some((Value::Int(I256::try_from(n).ok()?), FieldType::Int));
                    }
                    None => {
                        let n = U256::from(n.unsigned_abs());
                        return Some((Value::Uint(n), FieldType::Uint));
                    }
                }
            }
            LiteralValue::String(text) => text.inner().to_owned(),
        };
        let plain = |wanted: &&FieldType| !matches!(wanted, FieldType::Bool);
        let wanted = wanted.filter(plain).unwrap_or(&FieldType::Text);
        match literal::value(wanted, &DeValue::String(text.into())) {
            Ok(value) => Some((value, wanted.clone())),
            Err((problem, remedy)) => {
                self.errors.report(self.node, problem, remedy);
                None
            }
        }
    }

    /// A member of a struct, or of the block.
    fn member(&mut self, at: &IdedExpr, of: &IdedExpr, name: &str) -> Option<Typed> {
        if matches!(&of.expr, Expr::Ident(root) if root == "block")
            && self.named.iter().all(|named| named.schema.field("block").is_none())
        {
            let part = match name {
                "number" => BlockPart::Number,
                "time" => BlockPart::Time,
                _ => return self.refuse(at, "a block has `block.number` and `block.time`"),
            };
            return Some((Term::Block(part), FieldType::Uint));
        }
        let (term, found) = self.typed(of, None)?;
        let (Term::Field { mut path, .. }, FieldType::Tuple(members)) = (term, &found) else {
            return self.wrong_type(of, &found, "a struct");
        };
        let Some((_, member)) = members.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = members.iter().map(|(known, _)| known.as_str()).collect();
            let why = format!("the struct's members are `{}`", known.join("`, `"));
            return self.refuse(at, &why);
        };
        path.push(name.to_owned());
        Some((Term::Field { path, field_type: member.clone() }, member.clone()))
    }

    /// The text of a part of the expression.
    fn part(&self, of: &IdedExpr) -> String {
        let range = self.source.offset_for(of.id).unwrap_or_default();
        let (start, stop) = (range.0 as usize, range.1 as usize);
        let chars = self.text.chars().skip(start).take(stop.saturating_sub(start) + 1);
        chars.collect::<String>().trim().to_owned()
    }

    fn refuse<T>(&mut self, at: &IdedExpr, why: &str) -> Option<T> {
        let problem = Problem::BadExpression { part: self.part(at), why: why.to_owned() };
        self.errors.report(self.node, problem, "see docs/rules.md for what expressions can say");
        None
    }

    fn wrong_type<T>(&mut self, at: &IdedExpr, found: &FieldType, needed: &str) -> Option<T> {
        let why = format!("it is {found}, {needed} is needed");
        let problem = Problem::BadExpression { part: self.part(at), why };
        self.errors.report(self.node, problem, "use another field or a comparison");
        None
    }
}
