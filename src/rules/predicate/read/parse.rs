//! The text of an expression, by CEL's parser, within bounds.

use cel::{
    common::ast::{IdedExpr, SourceInfo},
    parser::Parser,
};

use crate::rules::limits;

/// The parser descends a dozen calls for each level, of frames that are large
/// without optimisation: more than the 2 MiB that threads have.
const PARSER_STACK_BYTES: usize = 32 << 20;

/// What CEL's parser makes of a text, or what it says is wrong.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), String> {
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
pub(super) fn nesting(text: &str) -> usize {
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
