//! The demo daemon's configuration folder: what a person would write for
//! their own chain, written for the private one.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use alloy::{primitives::Address, signers::local::LocalSigner};

use super::{DemoError, contracts::INBOX, world::World};

/// The rule set that the demo runs: the one in the repository.
pub const RULES: &str = include_str!("../../../config/rules/participation.toml");
/// The shipped `default.toml`, which the demo takes as it is.
pub const DEFAULT: &str = include_str!("../../../config/default.toml");
/// Names the variable that holds the keystore's passphrase.
pub const PASSPHRASE_VARIABLE: &str = "MERITD_DEMO_PASSPHRASE";

/// A folder with configuration, key and data.
#[derive(Debug)]
pub struct Setting {
    folder: PathBuf,
    passphrase: String,
    signer: Address,
    variables: Vec<(String, String)>,
}

impl Setting {
    /// Writes everything into a fresh folder among the system's temporary
    /// files, and appoints the new key as the contract's signer.
    ///
    /// # Errors
    /// When a file can't be written or the chain refuses.
    pub async fn create(world: &World) -> Result<Self, DemoError> {
        let folder =
            std::env::temp_dir().join(format!("meritd-demo-{:08x}", rand::random::<u32>()));
        Self::create_in(world, folder).await
    }

    /// As [`Setting::create`], in a folder of the caller's.
    ///
    /// # Errors
    /// When a file can't be written or the chain refuses.
    pub async fn create_in(world: &World, folder: PathBuf) -> Result<Self, DemoError> {
        let setting = Self {
            passphrase: format!("{:032x}", rand::random::<u128>()),
            signer: Address::ZERO,
            variables: Vec::new(),
            folder,
        };
        make_private(&setting.folder)?;
        make_private(&setting.config().join("keys"))?;
        make_private(&setting.config().join("rules"))?;
        let signer = setting.create_key()?;
        let setting = Self { signer, ..setting };
        world.appoint(signer).await?;
        setting.write("default.toml", DEFAULT)?;
        setting.write("development.toml", &development(world))?;
        setting.write("inbox.json", INBOX.json())?;
        setting.write("rules/participation.toml", RULES)?;
        Ok(setting)
    }

    /// The configuration folder.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// The daemon's data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Where the daemon's log goes.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("meritd.log")
    }

    /// Gives the daemon an environment variable.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The daemon's environment variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        std::iter::once((PASSPHRASE_VARIABLE, self.passphrase())).chain(given)
    }

    /// The passphrase of the signer's keystore.
    #[must_use]
    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// The signer's address.
    #[must_use]
    pub fn signer(&self) -> Address {
        self.signer
    }

    /// Replaces a file of the configuration.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), DemoError> {
        let path = self.config().join(name);
        fs::write(&path, text)
            .map_err(|source| DemoError::File { what: path.display().to_string(), source })
    }

    /// Describes the chain otherwise: `keys` is TOML of its section, and takes
    /// the place of the usual keys or joins them.
    ///
    /// # Errors
    /// When it is no TOML, or the file can't be written.
    pub fn set_chain(&self, world: &World, keys: &str) -> Result<(), DemoError> {
        let parse = |text: &str| {
            text.parse::<toml::Table>().map_err(|error| DemoError::File {
                what: "the chain's section".to_owned(),
                source: std::io::Error::other(error),
            })
        };
        let (mut file, keys) = (parse(&development(world))?, parse(keys)?);
        let chains = file.get_mut("chains").and_then(toml::Value::as_array_mut);
        if let Some(chain) = chains.and_then(|chains| chains.first_mut()?.as_table_mut()) {
            chain.extend(keys);
        }
        self.write("development.toml", &file.to_string())
    }

    /// Removes the folder.
    pub fn remove(&self) {
        // What is left among temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn create_key(&self) -> Result<Address, DemoError> {
        let folder = self.config().join("keys");
        let failed = |error: &dyn std::fmt::Display| DemoError::File {
            what: folder.display().to_string(),
            source: std::io::Error::other(error.to_string()),
        };
        let (key, _) = LocalSigner::new_keystore(
            &folder,
            &mut rand_08::thread_rng(),
            &self.passphrase,
            Some("awards.json"),
        )
        .map_err(|error| failed(&error))?;
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.join("awards.json"), mode).map_err(|error| failed(&error))?;
        Ok(key.address())
    }
}

fn make_private(folder: &Path) -> Result<(), DemoError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| DemoError::File { what: folder.display().to_string(), source })
}

fn development(world: &World) -> String {
    format!(
        r#"environment = "development"

[api]
listen = "127.0.0.1:0"

[[chains]]
name = "local"
chain_id = 31337
endpoints = [{{ url = "{url}" }}]
confirmations = 2
finality_depth = 64
poll_interval_ms = 150

[[contracts]]
name = "dao"
chain = "local"
kind = "governor"
address = "{governor}"

[[contracts]]
name = "badge"
chain = "local"
kind = "erc721"
address = "{badge}"

[[contracts]]
name = "contributions"
chain = "local"
kind = "abi"
abi = "inbox.json"
address = "{inbox}"

[[contracts]]
name = "achievements"
chain = "local"
kind = "achievements"
address = "{achievements}"

[[signers]]
name = "awards"
chain = "local"
key = {{ keystore = "keys/awards.json", passphrase = "env:{PASSPHRASE_VARIABLE}" }}
max_fee_gwei = 100
daily_budget_eth = "5"
confirmations = 2
batch = {{ max_items = 20, max_wait_ms = 500 }}
bump_after_s = 20

[[benefits]]
name = "badge-bonus"
nft = "badge"
weight_multiplier = "1.2"

[[benefits]]
name = "steady-bonus"
nft = "achievements"
achievement_ids = [3]
weight_multiplier = "1.5"
stack = "sum"

[debug]
fault_injection = true
"#,
        url = world.anvil.url(),
        governor = world.governor,
        badge = world.badge,
        inbox = world.inbox,
        achievements = world.achievements,
    )
}

/// Opens a file for appending, readable by its owner only.
pub(super) fn append_to(path: &Path) -> Result<fs::File, DemoError> {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| DemoError::File { what: path.display().to_string(), source })
}
