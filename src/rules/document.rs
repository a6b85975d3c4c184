//! A TOML document whose every value knows its line and its path, and the
//! list of what is wrong with it.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::{Problem, RuleError, suggest};
use crate::domain::Name;

/// Collects errors of one file.
pub(super) struct Errors<'a> {
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    pub(super) list: Vec<RuleError>,
}

impl<'a> Errors<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = newlines.map(|(offset, _)| offset + 1).collect();
        Self { file, text, line_starts, list: Vec::new() }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) + 1
    }

    pub(super) fn report(&mut self, at: &Node<'_>, problem: Problem, remedy: impl Into<String>) {
        let value = match at.value {
            DeValue::Table(_) => "",
            _ => self.text.get(at.span.clone()).unwrap_or_default(),
        };
        self.push(at.span.start, at.path.clone(), value, problem, remedy.into());
    }

    pub(super) fn push(
        &mut self,
        offset: usize,
        key: String,
        value: &str,
        problem: Problem,
        remedy: String,
    ) {
        self.list.push(RuleError {
            file: self.file.to_owned(),
            line: self.line(offset),
            key,
            value: value.chars().map(|c| if c == '\n' { ' ' } else { c }).take(80).collect(),
            problem,
            remedy,
        });
    }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) path: String,
    pub(super) span: Range<usize>,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn table(&self, errors: &mut Errors<'_>, remedy: &str) -> Option<Table<'a>> {
        match self.value.as_table() {
            Some(entries) => {
                Some(Table { path: self.path.clone(), start: self.span.start, entries })
            }
            None => self.wrong_type(errors, "a table", remedy),
        }
    }

    pub(super) fn text(&self, errors: &mut Errors<'_>, remedy: &str) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong_type(errors, "text", remedy))
    }

    pub(super) fn name(&self, errors: &mut Errors<'_>, remedy: &str) -> Option<Name> {
        let text = self.text(errors, remedy)?;
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                errors.report(self, error.into(), remedy);
                None
            }
        }
    }

    /// The entries of a list of at least one and at most `max` entries.
    pub(super) fn list(
        &self,
        errors: &mut Errors<'_>,
        what: &'static str,
        max: usize,
        remedy: &str,
    ) -> Option<Vec<Node<'a>>> {
        let Some(entries) = self.value.as_array() else {
            return self.wrong_type(errors, "a list", remedy);
        };
        if entries.is_empty() {
            let key = self.path.rsplit('.').next().unwrap_or_default().to_owned();
            errors.report(self, Problem::Empty { key }, remedy);
            return None;
        }
        if entries.len() > max {
            let problem = Problem::TooMany { what, count: entries.len(), max };
            errors.report(self, problem, "split it");
            return None;
        }
        let node = |(index, entry): (usize, &'a Spanned<DeValue<'a>>)| Node {
            path: format!("{}[{index}]", self.path),
            span: entry.span(),
            value: entry.get_ref(),
        };
        Some(entries.iter().enumerate().map(node).collect())
    }

    /// A count between 1 and `max`.
    pub(super) fn count(&self, errors: &mut Errors<'_>, max: u64) -> Option<u64> {
        self.whole(1..=max, errors)
    }

    /// A whole number within bounds.
    pub(super) fn whole(
        &self,
        bounds: std::ops::RangeInclusive<u64>,
        errors: &mut Errors<'_>,
    ) -> Option<u64> {
        let DeValue::Integer(integer) = self.value else {
            return self.wrong_type(errors, "a whole number", "write digits without quotes");
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            let problem = Problem::OutOfRange {
                number: integer.to_string(),
                min: bounds.start().to_string(),
                max: bounds.end().to_string(),
            };
            errors.report(self, problem, "choose a number within");
        }
        number
    }

    pub(super) fn wrong_type<T>(
        &self,
        errors: &mut Errors<'_>,
        expected: &str,
        remedy: &str,
    ) -> Option<T> {
        let found = self.value.type_str();
        errors.report(self, Problem::WrongType { expected: expected.to_owned(), found }, remedy);
        None
    }
}

/// A table with its place.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    pub(super) path: String,
    pub(super) start: usize,
    pub(super) entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.entries.iter().map(|(key, value)| {
            let key = key.get_ref().as_ref();
            (key, Node { path: self.path_of(key), span: value.span(), value: value.get_ref() })
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        self.nodes().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// A key that must be there.
    pub(super) fn require(
        &self,
        key: &'static str,
        errors: &mut Errors<'_>,
        remedy: &str,
    ) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            let problem = Problem::Missing { key };
            errors.push(self.start, self.path_of(key), "", problem, remedy.to_owned());
        }
        node
    }

    /// Reports the keys that are not among `known`.
    pub(super) fn deny_others(&self, known: &[&str], errors: &mut Errors<'_>) {
        for (key, value) in self.entries {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let value = errors.text.get(value.span()).unwrap_or_default();
                let problem = Problem::UnknownKey { key: name.to_owned() };
                let remedy = suggest(name, known.iter().copied(), "remove it");
                errors.push(key.span().start, self.path_of(name), value, problem, remedy);
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
