//! Reading a CEL expression into a [`Term`].
//!
//! The `cel` crate parses; what it would evaluate with are integers of 64
//! bits, so types and values are ours. A number in quotes is a number where one
//! is needed: `weight >= "100e18"`.

use alloy::primitives::{I256, U256};
use cel::{
    common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators as cel_operators},
    parser::Parser,
};
use toml::de::DeValue;

use super::{BlockPart, Operation, Relation, Term, TextTest};
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

/// The parser descends a dozen calls for each level, of frames that are large
/// without optimisation: more than the 2 MiB that threads have.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// What CEL's parser makes of a text, or what it says is wrong.
fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), String> {
    let parse = || {
        let parser = Parser::new().max_recursion_depth(limits::EXPRESSION_DEPTH);
        parser.parse_with_source_info(text).map_err(|failed| {
            let first = failed.errors.first();
            let message = first.map_or_else(|| failed.to_string(), |error| error.msg.clone());
            // Its lines are part of the error's own.
            message.lines().next().unwrap_or_default().to_owned()
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES);
        let reading = thread.spawn_scoped(scope, parse).map_err(|error| error.to_string())?;
        reading.join().map_err(|_| "the parser failed on it".to_owned())?
    })
}

/// How deep the text nests, at most: brackets that are open, and the operators
/// that stand before what they are for.
fn nesting(text: &str) -> usize {
    let (mut open, mut deepest, mut prefixes) = (0_usize, 0, 0);
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(chars.next()),
            (Some(quoted), c) if c == quoted => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => {
                open += 1;
                deepest = deepest.max(open);
            }
            (None, ')' | ']' | '}') => open = open.saturating_sub(1),
            (None, '!' | '-' | '?') => prefixes += 1,
            (None, _) => {}
        }
    }
    deepest + prefixes
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

    fn call(
        &mut self,
        at: &IdedExpr,
        call: &CallExpr,
        wanted: Option<&FieldType>,
    ) -> Option<Typed> {
        let truth = |term: Term| (term, FieldType::Bool);
        let args: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        Some(match (call.func_name.as_str(), args.as_slice()) {
            (cel_operators::LOGICAL_AND, [a, b]) => truth(Term::All(self.both(a, b, true)?)),
            (cel_operators::LOGICAL_OR, [a, b]) => truth(Term::Any(self.both(a, b, false)?)),
            (cel_operators::LOGICAL_NOT, [a]) => {
                truth(Term::Not(Box::new(self.of_type(a, &FieldType::Bool)?)))
            }
            (cel_operators::IN, [item, list]) => truth(self.among(item, list)?),
            (cel_operators::CONDITIONAL, [condition, a, b]) => {
                let condition = Box::new(self.of_type(condition, &FieldType::Bool)?);
                let (then, otherwise, found) = self.alike(a, b, wanted)?;
                let (then, otherwise) = (Box::new(then), Box::new(otherwise));
                (Term::If { condition, then, otherwise }, found)
            }
            (cel_operators::NEGATE, [a]) => self.negated(a)?,
            (cel_operators::INDEX, [list, index]) => self.item(list, index)?,
            (name, [a, b]) if relation(name).is_some() => {
                let (a_term, b_term, found) = self.alike(a, b, None)?;
                let relation = relation(name)?;
                if relation.is_order() && !is_number(&found) {
                    return self.wrong_type(a, &found, "a number");
                }
                if matches!(found, FieldType::List(_) | FieldType::Tuple(_)) {
                    return self.wrong_type(a, &found, "a plain field");
                }
                truth(Term::Compare(relation, Box::new(a_term), Box::new(b_term)))
            }
            (name, [a, b]) if operation(name).is_some() => {
                let (a_term, b_term, found) = self.alike(a, b, wanted)?;
                if !is_number(&found) {
                    return self.wrong_type(a, &found, "a number");
                }
                let operation = operation(name)?;
                (Term::Arithmetic(operation, Box::new(a_term), Box::new(b_term)), found)
            }
            ("size", [a]) => {
                let (term, found) = self.typed(a, None)?;
                match found {
                    FieldType::Text | FieldType::Bytes | FieldType::List(_) => {
                        (Term::Size(Box::new(term)), FieldType::Uint)
                    }
                    other => return self.wrong_type(a, &other, "text, bytes or a list"),
                }
            }
            (name @ ("int" | "uint"), [a]) => {
                let (term, found) = self.typed(a, None)?;
                if !is_number(&found) {
                    return self.wrong_type(a, &found, "a number");
                }
                match name {
                    "int" => (Term::ToInt(Box::new(term)), FieldType::Int),
                    _ => (Term::ToUint(Box::new(term)), FieldType::Uint),
                }
            }
            (name, [text, part]) if text_test(name).is_some() => {
                let text = Box::new(self.of_type(text, &FieldType::Text)?);
                let part = Box::new(self.of_type(part, &FieldType::Text)?);
                truth(Term::Text(text_test(name)?, text, part))
            }
            _ => {
                let why = "there are size, int, uint, startsWith, endsWith and contains";
                return self.refuse(at, why);
            }
        })
    }

    /// Both sides of `&&` (or `||`), and of the same within them.
    fn both(&mut self, a: &IdedExpr, b: &IdedExpr, and: bool) -> Option<Vec<Term>> {
        let sides = [self.of_type(a, &FieldType::Bool), self.of_type(b, &FieldType::Bool)];
        let mut terms = Vec::new();
        for side in sides {
            match side? {
                Term::All(inner) if and => terms.extend(inner),
                Term::Any(inner) if !and => terms.extend(inner),
                term => terms.push(term),
            }
        }
        Some(terms)
    }

    /// Two terms of one type: literals take the other's.
    fn alike(
        &mut self,
        a: &IdedExpr,
        b: &IdedExpr,
        wanted: Option<&FieldType>,
    ) -> Option<(Term, Term, FieldType)> {
        let (a_term, b_term, a_type, b_type) = if is_literal(a) && !is_literal(b) {
            let (b_term, b_type) = self.typed(b, wanted)?;
            let (a_term, a_type) = self.typed(a, Some(&b_type))?;
            (a_term, b_term, a_type, b_type)
        } else {
            let (a_term, a_type) = self.typed(a, wanted)?;
            let (b_term, b_type) = self.typed(b, Some(&a_type))?;
            (a_term, b_term, a_type, b_type)
        };
        if a_type == b_type {
            return Some((a_term, b_term, a_type));
        }
        let numbers = is_number(&a_type) && is_number(&b_type);
        let remedy = if numbers { ": convert one of them by int(…) or uint(…)" } else { "" };
        let (a, b) = (self.part(a), self.part(b));
        let why = format!("`{a}` is {a_type} and `{b}` is {b_type}{remedy}");
        let problem = Problem::BadExpression { part: self.text.to_owned(), why };
        self.errors.report(self.node, problem, "compare like with like");
        None
    }

    fn among(&mut self, item: &IdedExpr, list: &IdedExpr) -> Option<Term> {
        if let Expr::List(literals) = &list.expr {
            if literals.elements.is_empty() {
                return self.refuse(list, "nothing is in an empty list");
            }
            let (item, found) = self.typed(item, None)?;
            let terms: Vec<Option<Term>> =
                literals.elements.iter().map(|element| self.of_type(element, &found)).collect();
            return Some(Term::OneOf(Box::new(item), terms.into_iter().collect::<Option<_>>()?));
        }
        let (term, found) = self.typed(list, None)?;
        let FieldType::List(of) = &found else {
            return self.wrong_type(list, &found, "a list");
        };
        let item = self.of_type(item, of)?;
        Some(Term::Has { list: Box::new(term), item: Box::new(item) })
    }

    fn negated(&mut self, of: &IdedExpr) -> Option<Typed> {
        let (term, found) = self.typed(of, Some(&FieldType::Int))?;
        match (term, found) {
            (Term::Literal(Value::Int(n)), FieldType::Int) => {
                Some((Term::Literal(Value::Int(n.checked_neg()?)), FieldType::Int))
            }
            (term, FieldType::Int) => Some((Term::Negated(Box::new(term)), FieldType::Int)),
            (_, other) => self.wrong_type(of, &other, "a signed integer"),
        }
    }

    fn item(&mut self, list: &IdedExpr, index: &IdedExpr) -> Option<Typed> {
        let (term, found) = self.typed(list, None)?;
        let FieldType::List(of) = found else {
            return self.wrong_type(list, &found, "a list");
        };
        let Expr::Literal(LiteralValue::Int(at)) = &index.expr else {
            return self.refuse(index, "an item is named by a number: `targets[0]`");
        };
        let Ok(index) = u64::try_from(*at.inner()) else {
            return self.refuse(index, "items are counted from 0");
        };
        Some((Term::Item { list: Box::new(term), index }, *of))
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

/// Whether it has no type of its own.
fn is_literal(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) => {
            let computed =
                operation(&call.func_name).is_some() || call.func_name == cel_operators::NEGATE;
            computed && call.args.iter().all(is_literal)
        }
        _ => false,
    }
}

fn relation(name: &str) -> Option<Relation> {
    Some(match name {
        cel_operators::EQUALS => Relation::Equal,
        cel_operators::NOT_EQUALS => Relation::NotEqual,
        cel_operators::GREATER => Relation::Greater,
        cel_operators::GREATER_EQUALS => Relation::AtLeast,
        cel_operators::LESS => Relation::Less,
        cel_operators::LESS_EQUALS => Relation::AtMost,
        _ => return None,
    })
}

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        cel_operators::ADD => Operation::Add,
        cel_operators::SUBSTRACT => Operation::Subtract,
        cel_operators::MULTIPLY => Operation::Multiply,
        cel_operators::DIVIDE => Operation::Divide,
        cel_operators::MODULO => Operation::Remainder,
        _ => return None,
    })
}

fn text_test(name: &str) -> Option<TextTest> {
    Some(match name {
        "startsWith" => TextTest::StartsWith,
        "endsWith" => TextTest::EndsWith,
        "contains" => TextTest::Contains,
        _ => return None,
    })
}
