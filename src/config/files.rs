//! The files of a configuration folder: bounded reading, and TOML as a layer
//! that remembers where it came from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Error, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use super::{
    Problem,
    lists::{self, List},
};

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

/// One TOML file. figment's own provider would read the file again, by
/// another parser, whose errors quote lines in which a secret may stand.
pub(super) struct Layer {
    path: PathBuf,
    table: toml::Table,
}

impl Layer {
    /// Reads one file, refusing what is too large or no TOML.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let text = read_text(path)?;
        let table = toml::from_str(&text).map_err(|error| broken(path, &text, &error))?;
        Ok(Self { path: path.to_owned(), table })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::from("TOML file", self.path.as_path())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let dict = Value::serialize(&self.table)?.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

fn broken(path: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let line = error.span().map_or(1, |span| {
        text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1)
    });
    Problem {
        file: format!("{}:{line}", path.display()),
        key: "(syntax)".into(),
        value: text.lines().nth(line - 1).and_then(shown_of),
        why: error.message().to_owned(),
        remedy: "mend the TOML of this line".into(),
    }
}

/// What of a line may be shown: a table's header, or the key before `=`.
/// Anything else may be a secret.
fn shown_of(line: &str) -> Option<String> {
    let line = line.trim();
    let quotes = ['"', '\''];
    match line.split_once('=') {
        Some((key, _)) if !key.contains(quotes) => Some(format!("{} = …", key.trim())),
        None if line.starts_with('[') && !line.contains(quotes) => Some(line.to_owned()),
        _ => None,
    }
}

/// Why a file can't be used, and what to do.
pub(super) struct Unusable {
    pub(super) why: String,
    pub(super) remedy: &'static str,
}

/// Reads a text file of at most `max` bytes.
pub(super) fn read_bounded(path: &Path, max: u64) -> Result<String, Unusable> {
    let remedy = "make it readable for the user that runs meritd";
    let told = |error: io::Error| Unusable { why: error.to_string(), remedy };
    let metadata = fs::metadata(path).map_err(told)?;
    // A device has no size and no end, and a pipe waits for somebody who writes.
    if !metadata.is_file() {
        return Err(Unusable { why: "not a file".to_owned(), remedy: "name a text file" });
    }
    let size = metadata.len();
    if size > max {
        return Err(Unusable {
            why: format!("{size} bytes are more than {max}"),
            remedy: "split it, or check that it is the right file",
        });
    }
    let remedy = "make it a readable UTF-8 text file";
    fs::read_to_string(path).map_err(|error| Unusable { why: error.to_string(), remedy })
}

fn read_text(path: &Path) -> Result<String, Problem> {
    read_bounded(path, MAX_FILE_BYTES)
        .map_err(|Unusable { why, remedy }| of_file(path, why, remedy.to_owned()))
}

/// A problem of a file as a whole.
pub(super) fn of_file(path: &Path, why: String, remedy: String) -> Problem {
    let file = path.display().to_string();
    Problem { file, key: "(file)".into(), value: None, why, remedy }
}

/// The environments that the folder has files for.
pub(super) fn environments(dir: &Path) -> Vec<String> {
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

/// Every `rules/*.toml`, in the order of their names; none without the folder.
pub(super) fn rule_files(dir: &Path) -> Result<Vec<RuleFile>, Problem> {
    let folder = dir.join("rules");
    let paths = files_with(&folder, "toml")?;
    paths.into_iter().map(|path| Ok(RuleFile { text: read_text(&path)?, path })).collect()
}

/// Every `rules/*.csv`, in the order of their names.
pub(super) fn lists(dir: &Path) -> Result<Vec<List>, Problem> {
    let read = |path: PathBuf| {
        let text = read_bounded(&path, lists::MAX_LIST_BYTES)
            .map_err(|Unusable { why, remedy }| of_file(&path, why, remedy.to_owned()))?;
        lists::read(&path, &text)
    };
    files_with(&dir.join("rules"), "csv")?.into_iter().map(read).collect()
}

fn files_with(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Problem> {
    paths_with(folder, ending).map_err(|error| {
        let remedy = "make it a folder that the user who runs meritd can read, or remove it";
        of_file(folder, error.to_string(), remedy.to_owned())
    })
}

fn paths_with(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == ending) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read() {
        for path in ["/dev/zero", "/"] {
            let refused = read_bounded(Path::new(path), 10);
            assert!(refused.is_err_and(|refused| refused.why == "not a file"), "{path}");
        }
    }
}
