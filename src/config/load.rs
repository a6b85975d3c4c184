//! Merging the files and the environment into [`RawConfig`], and saying in
//! words what does not fit.

use std::path::Path;

use figment::{
    Figment,
    error::{Actual, Kind},
    providers::Env,
};

use super::{
    Config, ConfigError, Problem,
    files::{Layer, environments, lists, of_file, rule_files},
    raw::RawConfig,
    validate,
};

/// Prefix of the variables that override keys.
const ENV_PREFIX: &str = "MERITD__";

/// Reads and checks the configuration in `dir` for the environment that
/// `environment` names, or else the variable `MERITD__ENVIRONMENT`, or else
/// `default.toml`.
///
/// # Errors
/// All problems at once.
pub fn load(dir: &Path, environment: Option<&str>) -> Result<Config, ConfigError> {
    let one = |problem| ConfigError { problems: vec![problem] };
    let default = dir.join("default.toml");
    if !default.is_file() {
        let remedy = "point --config at a folder with a default.toml";
        return Err(one(of_file(&default, "there is no such file".into(), remedy.into())));
    }
    let base = Figment::from(Layer::read(&default).map_err(one)?);
    let env = || Env::prefixed(ENV_PREFIX).split("__");
    let (named, by) = match environment {
        Some(name) => (name.to_owned(), "--environment".to_owned()),
        None => {
            let figment = base.clone().merge(env());
            let name = figment
                .extract_inner::<String>("environment")
                .map_err(|error| all(error, &figment, &default))?;
            (name, said_by(&figment, "environment", &default))
        }
    };
    let specific = dir.join(format!("{named}.toml"));
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let known = !named.is_empty() && named != "default" && named.chars().all(plain);
    if !known || !specific.is_file() {
        let known = environments(dir);
        return Err(one(Problem {
            file: by,
            key: "environment".into(),
            why: format!("there is no file for it in {}", dir.display()),
            remedy: if known.is_empty() {
                format!("write {}", dir.join("development.toml").display())
            } else {
                format!("name one of: {}", known.join(", "))
            },
            value: Some(named),
        }));
    }
    let layer = Layer::read(&specific).map_err(one)?;
    let figment = base.merge(layer).merge(env()).merge(("environment", named));
    let raw: RawConfig = figment.extract().map_err(|error| all(error, &figment, &specific))?;
    let rules = rule_files(dir).map_err(one)?;
    let lists = lists(dir).map_err(one)?;
    validate::check(dir, &figment, &specific, raw, rules, lists)
}

/// Who says a key, like `chains[0].name`: a file, or a variable. A list is
/// said as a whole; a key that nobody says is looked for in the file that
/// says its section.
pub(super) fn said_by(figment: &Figment, key: &str, fallback: &Path) -> String {
    let path = key.split('[').next().unwrap_or(key);
    let by = |path: &str| figment.find_metadata(path).map(|metadata| metadata.source.as_ref());
    let file = match by(path) {
        // Only the environment has no source.
        Some(None) => {
            return format!("variable {ENV_PREFIX}{}", path.replace('.', "__").to_uppercase());
        }
        Some(source) => source,
        None => by(path.split('.').next().unwrap_or(path)).flatten(),
    };
    file.and_then(|source| source.file_path()).unwrap_or(fallback).display().to_string()
}

fn all(error: figment::Error, figment: &Figment, fallback: &Path) -> ConfigError {
    let problems = error.into_iter().map(|error| from_figment(&error, figment, fallback)).collect();
    ConfigError { problems }
}

/// Turns an extraction error into words: where, what, and the nearest key.
fn from_figment(error: &figment::Error, figment: &Figment, fallback: &Path) -> Problem {
    let mut key = key_path(&error.path);
    let (value, why, remedy) = match &error.kind {
        Kind::UnknownField(name, expected) => {
            if error.path.last() != Some(name) {
                key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            }
            (None, "there is no such key".into(), nearest(name, expected))
        }
        Kind::UnknownVariant(name, expected) => {
            (Some(name.clone()), "this is not one of the choices".into(), nearest(name, expected))
        }
        Kind::MissingField(name) => {
            key = if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
            (None, "this key is missing".into(), "add it".into())
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let found = if may_be_secret(&key) { kind_of(actual) } else { actual.to_string() };
            let expected = expected.to_string();
            // serde names a table by its type in our code.
            let expected =
                if expected.starts_with("struct ") { "a table".into() } else { expected };
            (None, format!("found {found}"), format!("give {expected}"))
        }
        other => (None, other.to_string(), "see docs/configuration.md".into()),
    };
    let file = said_by(figment, &key, fallback);
    Problem { file, key, value, why, remedy }
}

/// Whether a value of a wrong type could be a secret all the same: one
/// that forgot its quotes, or a whole list with secrets in it.
fn may_be_secret(key: &str) -> bool {
    const SECRET: [&str; 8] =
        ["password", "passphrase", "raw", "key", "hmac", "url", "urls", "endpoints"];
    ["chains", "signers", "facts", "nats"].contains(&key)
        || key.split(['.', '[', ']']).any(|part| SECRET.contains(&part))
}

/// The type of a value without the value.
fn kind_of(actual: &Actual) -> String {
    let kind = match actual {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) => "an integer",
        Actual::Float(_) => "a float",
        Actual::Char(_) | Actual::Str(_) => "a string",
        Actual::Seq => "a sequence",
        Actual::Map => "a table",
        _ => "another type",
    };
    kind.to_owned()
}

/// `["contracts", "1", "address"]` as `contracts[1].address`.
fn key_path(path: &[String]) -> String {
    path.iter().fold(String::new(), |mut text, part| {
        if part.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            text.push_str(&format!("[{part}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(part);
        }
        text
    })
}

/// "did you mean …?" and the choices.
fn nearest(given: &str, choices: &[&str]) -> String {
    let close = choices
        .iter()
        .map(|choice| (strsim::damerau_levenshtein(given, choice), choice))
        .min()
        .filter(|(distance, choice)| *distance <= choice.len().max(given.len()) / 2);
    let all = choices.join(", ");
    match close {
        Some((_, choice)) => format!("did you mean `{choice}`? (known: {all})"),
        None => format!("use one of: {all}"),
    }
}
