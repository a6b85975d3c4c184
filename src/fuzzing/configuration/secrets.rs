//! Which words of a configuration file are secrets.

use toml::{Table, Value};

/// The shortest word that is looked for: a shorter one may stand anywhere.
const WORD_MIN: usize = 10;

/// The secrets of a file, as far as they can't be something else: words of letters and
/// digits, at the keys for secrets, or behind the host of an endpoint's URL, that the file
/// has only once.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    match text.parse::<Table>() {
        Ok(table) => table.values().for_each(|value| in_value(value, None, &mut found)),
        // Broken TOML: each line for itself.
        Err(_) => {
            for line in text.lines().filter_map(|line| line.parse::<Table>().ok()) {
                line.iter().for_each(|(key, value)| in_value(value, Some(key), &mut found));
            }
        }
    }
    found.retain(|word: &String| {
        let of = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
        word.len() >= WORD_MIN
            && of(char::is_ascii_digit)
            && of(char::is_ascii_alphabetic)
            && text.matches(word.as_str()).count() == 1
    });
    found
}

fn in_value(value: &Value, key: Option<&str>, found: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                in_value(value, Some(key), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| in_value(item, key, found)),
        Value::String(text) => match key {
            Some("passphrase" | "password" | "raw" | "hmac") if !is_reference(text) => {
                found.extend(words(text));
            }
            Some("url" | "urls" | "ws") if !is_reference(text) => found.extend(behind_host(text)),
            _ => {}
        },
        _ => {}
    }
}

/// `env:NAME` and `file:PATH` say where a secret is.
fn is_reference(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Path, query and password.
fn behind_host(text: &str) -> Vec<String> {
    let Ok(url) = text.parse::<reqwest::Url>() else { return Vec::new() };
    let parts = [url.path(), url.query().unwrap_or_default(), url.password().unwrap_or_default()];
    parts.into_iter().flat_map(words).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect()
}
