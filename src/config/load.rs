//! Reading the files and the environment into [`RawConfig`].

use std::{
    fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::Kind,
    providers::{Env, Format, Toml},
};

use super::{Config, ConfigError, Problem, raw::RawConfig, validate};

/// A rule file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Its path, as errors name it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Largest configuration or rule file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
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
        return Err(one(Problem {
            file: default.display().to_string(),
            key: "(file)".into(),
            value: None,
            why: "there is no such file".into(),
            remedy: "point --config at a folder with a default.toml".into(),
        }));
    }
    let base = layer(Figment::new(), &default).map_err(one)?;
    let env = || Env::prefixed(ENV_PREFIX).split("__");
    let named = match environment {
        Some(name) => name.to_owned(),
        None => base.clone().merge(env()).extract_inner::<String>("environment").map_err(|e| {
            ConfigError { problems: e.into_iter().map(|e| from_figment(&e, &default)).collect() }
        })?,
    };
    let specific = dir.join(format!("{named}.toml"));
    let known = !named.is_empty() && named.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !known || !specific.is_file() {
        return Err(one(Problem {
            file: default.display().to_string(),
            key: "environment".into(),
            value: Some(named),
            why: format!("there is no {}", specific.display()),
            remedy: format!("name one of: {}", environments(dir).join(", ")),
        }));
    }
    let figment = layer(base, &specific).map_err(one)?.merge(env()).merge(("environment", named));
    let raw: RawConfig = figment.extract().map_err(|error| ConfigError {
        problems: error.into_iter().map(|e| from_figment(&e, &specific)).collect(),
    })?;
    let rules = rule_files(dir).map_err(one)?;
    validate::check(dir, &figment, &specific, raw, rules)
}

/// Merges one file, refusing what is too large or no TOML.
fn layer(figment: Figment, path: &Path) -> Result<Figment, Problem> {
    let text = read_bounded(path)?;
    if let Err(error) = toml::from_str::<toml::Table>(&text) {
        let line = error.span().map_or(1, |span| {
            text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1)
        });
        return Err(Problem {
            file: format!("{}:{line}", path.display()),
            key: "(syntax)".into(),
            value: text.lines().nth(line - 1).map(|l| l.trim().to_owned()),
            why: error.message().to_owned(),
            remedy: "mend the TOML of this line".into(),
        });
    }
    Ok(figment.merge(Toml::file_exact(path)))
}

/// Reads a text file of at most [`MAX_FILE_BYTES`].
fn read_bounded(path: &Path) -> Result<String, Problem> {
    let problem = |why: String, remedy: &str| Problem {
        file: path.display().to_string(),
        key: "(file)".into(),
        value: None,
        why,
        remedy: remedy.into(),
    };
    let size = fs::metadata(path)
        .map_err(|e| problem(e.to_string(), "make it readable for the user that runs meritd"))?
        .len();
    if size > MAX_FILE_BYTES {
        return Err(problem(
            format!("{size} bytes are more than {MAX_FILE_BYTES}"),
            "split it, or check that it is the right file",
        ));
    }
    fs::read_to_string(path)
        .map_err(|e| problem(e.to_string(), "make it a readable UTF-8 text file"))
}

/// The environments that the folder has files for.
fn environments(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .filter(|name| name != "default")
        .collect();
    names.sort();
    names
}

/// Every `rules/*.toml`, in the order of their names.
fn rule_files(dir: &Path) -> Result<Vec<RuleFile>, Problem> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join("rules"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| Ok(RuleFile { text: read_bounded(&path)?, path })).collect()
}

/// Turns an extraction error into words: where, what, and the nearest key.
fn from_figment(error: &figment::Error, fallback: &Path) -> Problem {
    let file = error.metadata.as_ref().map_or_else(
        || fallback.display().to_string(),
        |metadata| match &metadata.source {
            Some(source) => {
                source.file_path().map_or_else(|| source.to_string(), |p| p.display().to_string())
            }
            None => format!("{ENV_PREFIX}… variables"),
        },
    );
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
            (None, format!("found {actual}"), format!("give {expected}"))
        }
        other => (None, other.to_string(), "see docs/configuration.md".into()),
    };
    Problem { file, key, value, why, remedy }
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
