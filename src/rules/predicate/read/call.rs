//! Operators and functions: what each is given, and of which type it is.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as cel_operators};

use super::{Reader, Typed};
use crate::{
    domain::{FieldType, Value},
    rules::{
        error::Problem,
        fields::is_number,
        predicate::{Operation, Relation, Term, TextTest},
    },
};

impl Reader<'_, '_, '_, '_> {
    pub(super) fn call(
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
