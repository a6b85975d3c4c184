//! The contracts and signers that the targets decode and compile for: `fuzz/setting/`,
//! read as the daemon reads its own.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use crate::{
    chain::adapters::Adapter,
    config::{self, Config},
    daemon::references,
    domain::Name,
    rules::Catalog,
};

/// The folder.
pub(super) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/setting");

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let loaded = config::load(Path::new(FOLDER), Some("fuzz"));
    loaded.unwrap_or_else(|error| panic!("{error}"))
});

static REFERENCES: LazyLock<(BTreeMap<Name, Adapter>, Catalog)> = LazyLock::new(|| {
    let found = references(&CONFIG);
    found.unwrap_or_else(|error| panic!("{error}"))
});

/// What rules can refer to.
pub(super) fn catalog() -> &'static Catalog {
    &REFERENCES.1
}
