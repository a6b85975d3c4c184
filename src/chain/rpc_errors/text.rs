//! An error answer as words.

use serde_json::Value as Json;

/// Characters of an answer that are read: what matters stands at its start.
const READ_MAX: usize = 4096;

/// The words of an answer, lower-cased, with those of its data.
pub(super) struct Text {
    plain: String,
    words: Vec<String>,
    is_page: bool,
}

impl Text {
    pub(super) fn new(message: &str, data: Option<&Json>) -> Self {
        let mut plain: String =
            message.chars().take(READ_MAX).flat_map(char::to_lowercase).collect();
        let is_page = ["<html", "<!doctype", "<head", "<body"].iter().any(|t| plain.contains(t));
        if is_page {
            plain = without_markup(&plain);
        }
        if let Some(data) = data {
            flatten(data, &mut plain);
        }
        let words = words_of(&plain);
        Self { plain, words, is_page }
    }

    /// A page for people, from a proxy that knows nothing of blocks. Its prose
    /// ("this block", as in "you are blocked") must not be read as if it did.
    pub(super) fn is_page(&self) -> bool {
        self.is_page
    }

    pub(super) fn plain(&self) -> &str {
        &self.plain
    }

    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    /// Any of these, anywhere, also as a part of a word.
    pub(super) fn has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.plain.contains(phrase))
    }

    /// Any of these as a whole word.
    pub(super) fn word(&self, any: &[&str]) -> bool {
        self.words.iter().any(|word| any.contains(&word.as_str()))
    }

    /// A number of such things: "10000 logs", "5 active addresses".
    pub(super) fn counts(&self, things: &[&str]) -> bool {
        self.words.windows(3).any(|three| match three {
            [n, next, after] if number(n).is_some() => {
                things.contains(&next.as_str())
                    || (number(next).is_none() && things.contains(&after.as_str()))
            }
            [_, n, last] => number(n).is_some() && things.contains(&last.as_str()),
            _ => false,
        }) || matches!(&*self.words, [n, last] if number(n).is_some() && things.contains(&last.as_str()))
    }

    /// One of `things` with one of `qualities` at most two words before it or
    /// right after it.
    pub(super) fn near(&self, things: &[&str], qualities: &[&str]) -> bool {
        let is = |index: usize| {
            self.words.get(index).is_some_and(|word| qualities.contains(&word.as_str()))
        };
        self.words.iter().enumerate().any(|(index, word)| {
            things.contains(&word.as_str())
                && (is(index + 1)
                    || index.checked_sub(1).is_some_and(is)
                    || index.checked_sub(2).is_some_and(is))
        })
    }
}

/// Appends keys, strings and numbers of `data` to `text`, in lower case.
fn flatten(data: &Json, text: &mut String) {
    if text.len() > 2 * READ_MAX {
        return;
    }
    text.push(' ');
    match data {
        Json::String(string) => {
            text.extend(string.chars().take(READ_MAX).flat_map(char::to_lowercase));
        }
        Json::Number(number) => text.push_str(&number.to_string()),
        Json::Array(items) => items.iter().for_each(|item| flatten(item, text)),
        Json::Object(members) => {
            for (key, value) in members {
                // `maxBlockRange` is three words.
                for c in key.chars().take(READ_MAX) {
                    if c.is_uppercase() {
                        text.push(' ');
                    }
                    text.extend(c.to_lowercase());
                }
                flatten(value, text);
            }
        }
        Json::Null | Json::Bool(_) => {}
    }
}

/// A page's text: no tags, styles or scripts.
fn without_markup(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let end = ["style", "script"].iter().find(|name| tag.starts_with(**name));
        let after = match end {
            Some(name) => tag.split_once(&format!("</{name}")).map_or("", |(_, after)| after),
            None => tag,
        };
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

/// Words and numbers; `A-B` of two numbers stays one word.
fn words_of(text: &str) -> Vec<String> {
    let cut = |c: char| {
        c.is_whitespace()
            || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ':' | '=' | ';' | '"' | '`')
            || matches!(c, '<' | '>' | '|' | '!' | '?' | '/' | '_' | '\'')
    };
    let mut words = Vec::new();
    for word in text.split(cut) {
        let word = word.trim_matches(|c: char| matches!(c, ',' | '.' | '-'));
        if word.split_once('-').is_some_and(|(a, b)| number(a).is_some() && number(b).is_some()) {
            words.push(word.to_owned());
            continue;
        }
        for part in word.split('-') {
            let part = part.trim_matches(|c: char| matches!(c, ',' | '.'));
            if !part.is_empty() {
                words.push(part.to_owned());
            }
        }
    }
    words
}

/// `1024`, `10,000`, `2k`, `0xff`.
pub(super) fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    let (digits, factor) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1000),
        None => (text, 1),
    };
    let mut groups = digits.split([',', '_']);
    let first = groups.next()?;
    let mut all = first.to_owned();
    for group in groups {
        // `1,2` is two numbers, not twelve.
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        all.push_str(group);
    }
    // `+5` would parse, too.
    let plain = !all.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
    if plain { all.parse::<u64>().ok()?.checked_mul(factor) } else { None }
}
