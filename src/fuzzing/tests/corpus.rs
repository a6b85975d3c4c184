//! The files of `fuzz/corpus/`.

use std::{fs, path::PathBuf};

/// A file of a target's corpus.
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// All files of a target, by their names.
pub(super) fn files(target: &str) -> Vec<File> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read =
        |path: PathBuf| File { name: path.display().to_string(), bytes: fs::read(&path).unwrap() };
    paths.into_iter().map(read).collect()
}
