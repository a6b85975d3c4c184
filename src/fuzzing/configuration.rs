//! Configuration files.

mod secrets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrets::secrets;

use super::setting::FOLDER;
use crate::{
    config::{self, Config, ConfigError},
    daemon::references,
};

/// Of an error that a person reads on one line.
const ERROR_CHARS_MAX: usize = 2_000;

/// The file of an environment, beside the `default.toml` that is shipped.
///
/// It is loaded alike each time, or all that is wrong with it is told, with key and remedy.
/// Neither the errors nor what is loaded shows a secret.
pub fn configuration(bytes: &[u8]) {
    let (first, again) = FILES.with(|files| {
        fs::write(files.0.join("fuzz.toml"), bytes).unwrap();
        let load = || config::load(&files.0, Some("fuzz"));
        (load(), load())
    });
    let text = String::from_utf8_lossy(bytes);
    match (first, again) {
        (Ok(config), Ok(again)) => {
            let shown = format!("{config:?}");
            assert_eq!(shown, format!("{again:?}"), "one file means one thing");
            untold(&text, &shown);
            planned(&text, &config);
        }
        (Err(errors), Err(again)) => {
            assert_eq!(errors.problems, again.problems);
            refused(&text, &errors);
        }
        _ => panic!("a file that is loaded once and not another time"),
    }
}

fn refused(text: &str, errors: &ConfigError) {
    assert!(!errors.problems.is_empty(), "it is refused, and nobody knows why");
    for problem in &errors.problems {
        assert!(!problem.key.is_empty() && !problem.remedy.is_empty(), "{problem}");
        let length = problem.to_string().chars().count();
        assert!(length <= ERROR_CHARS_MAX, "{length} characters: {problem}");
    }
    untold(text, &format!("{errors}\n{errors:?}"));
}

/// What it means, as far as no secret is needed.
fn planned(text: &str, config: &Config) {
    if let Err(error) = references(config) {
        assert!(!error.problems.is_empty());
        untold(text, &error.to_string());
    }
}

fn untold(text: &str, shown: &str) {
    for secret in secrets(text) {
        assert!(!shown.contains(&secret), "`{secret}` is shown: {shown}");
    }
}

/// A folder of this thread's own, gone with it.
struct Files(PathBuf);

thread_local!(static FILES: Files = Files::new());

impl Files {
    fn new() -> Self {
        let name = format!("meritd-fuzz-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let default = concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml");
        fs::copy(default, folder.join("default.toml")).unwrap();
        for abi in ["contributions.json", "nested.json"] {
            fs::copy(Path::new(FOLDER).join(abi), folder.join(abi)).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left is a temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
