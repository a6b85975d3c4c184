//! `meritd keys`: keystores for signers.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use alloy::primitives::Address;
use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Failure, print};
use crate::{
    config::SecretRef,
    signing::keys::{KmsKey, LocalKey, Strength},
};

/// What to do with keys.
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a new key and write it, encrypted, into a keystore file
    #[command(after_help = "Example:\n  meritd keys create config/keys/awards.json")]
    Create(NewFile),
    /// Write a key that exists into a keystore file, encrypted
    #[command(
        after_help = "Example:\n  meritd keys import config/keys/awards.json --from env:AWARDS_KEY"
    )]
    Import(ImportArgs),
    /// Show the address of a keystore's key, or of one that a key management service keeps
    #[command(
        after_help = "Example:\n  meritd keys address config/keys/awards.json --passphrase env:AWARDS_PASSPHRASE\n  meritd keys address --aws-kms alias/awards --region eu-central-1"
    )]
    Address(Known),
}

#[derive(Debug, Args)]
struct NewFile {
    /// The keystore to be written; it must not exist yet
    file: PathBuf,
    /// Where its passphrase is: env:NAME or file:PATH; else it is asked for
    #[arg(long, value_name = "WHERE")]
    passphrase: Option<String>,
    /// A passphrase is tried 64 times faster: for development only
    #[arg(long)]
    light: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ImportArgs {
    #[command(flatten)]
    file: NewFile,
    /// Where the key is, 32 bytes in hex: env:NAME or file:PATH; else it is asked for
    #[arg(long, value_name = "WHERE")]
    from: Option<String>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("key").required(true))]
struct Known {
    /// The keystore
    #[arg(group = "key")]
    file: Option<PathBuf>,
    /// Where its passphrase is: env:NAME or file:PATH; else it is asked for
    #[arg(long, value_name = "WHERE", requires = "file")]
    passphrase: Option<String>,
    /// Key id, ARN or alias of a key of AWS KMS
    #[arg(long, value_name = "KEY", group = "key")]
    aws_kms: Option<String>,
    /// Its region; else the environment's
    #[arg(long, conflicts_with_all = ["file", "gcp_kms"])]
    region: Option<String>,
    /// Resource name of a key version of Google Cloud KMS
    #[arg(long, value_name = "VERSION", group = "key")]
    gcp_kms: Option<String>,
    /// URL of the service, if not the public one
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    endpoint: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Shorter ones are guessed, whatever the key derivation.
const PASSPHRASE_CHARS_MIN: usize = 8;

pub(super) fn run(args: &KeysArgs) -> Result<(), Failure> {
    match &args.command {
        KeysCommand::Create(new) => seal(&LocalKey::random(), new),
        KeysCommand::Import(ImportArgs { file, from }) => {
            let text = match from {
                Some(place) => fetch("--from", place)?,
                None => ask("--from", "Private key (hex): ")?,
            };
            seal(&LocalKey::from_hex(&text).map_err(Failure::failed)?, file)
        }
        KeysCommand::Address(known) => address_of(known),
    }
}

fn address_of(known: &Known) -> Result<(), Failure> {
    let endpoint = known.endpoint.clone();
    let (key, service) = match (&known.file, &known.aws_kms, &known.gcp_kms) {
        (Some(file), ..) => {
            let passphrase = match &known.passphrase {
                Some(place) => fetch("--passphrase", place)?,
                None => ask("--passphrase", "Passphrase: ")?,
            };
            let key = LocalKey::from_keystore(file, &passphrase).map_err(Failure::failed)?;
            return show(key.address(), "keystore", &file.display().to_string(), known.json);
        }
        (_, Some(name), _) => {
            let (key_id, region) = (name.clone(), known.region.clone());
            (KmsKey::Aws { key_id, region, endpoint }, "aws_kms")
        }
        (.., Some(name)) => {
            let version = name.parse().map_err(Failure::usage)?;
            (KmsKey::Gcp { version, endpoint }, "gcp_kms")
        }
        // The group wants one of them.
        (None, None, None) => return Err(Failure::Usage("no key is named".into())),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    let address = runtime.block_on(key.account()).map_err(Failure::failed)?;
    let name = known.aws_kms.as_ref().or(known.gcp_kms.as_ref()).cloned().unwrap_or_default();
    show(address, service, &name, known.json)
}

fn seal(key: &LocalKey, new: &NewFile) -> Result<(), Failure> {
    let passphrase = match &new.passphrase {
        Some(place) => fetch("--passphrase", place)?,
        None => {
            let given = ask("--passphrase", "Passphrase: ")?;
            if *ask("--passphrase", "Once more: ")? != *given {
                return Err(Failure::Usage(
                    "the two passphrases differ; nothing was written".into(),
                ));
            }
            given
        }
    };
    if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
        return Err(Failure::Usage(format!(
            "the passphrase has fewer than {PASSPHRASE_CHARS_MIN} characters; nothing was written"
        )));
    }
    let strength = if new.light { Strength::Light } else { Strength::Standard };
    key.seal(&new.file, &passphrase, strength).map_err(Failure::failed)?;
    show(key.address(), "keystore", &new.file.display().to_string(), new.json)
}

fn show(address: Address, place: &str, name: &str, as_json: bool) -> Result<(), Failure> {
    let address = address.to_checksum(None);
    if as_json {
        return print(format!("{:#}", json!({ "address": address, place: name })));
    }
    print(address)
}

/// A secret from where it was said to be.
fn fetch(option: &str, place: &str) -> Result<Zeroizing<String>, Failure> {
    let found = SecretRef::parse(place, Path::new("")).ok_or_else(|| {
        // What was given may be the secret itself: it is not repeated.
        Failure::Usage(format!("{option}: give env:NAME or file:PATH, not the secret itself"))
    })?;
    let secret = found.resolve().map_err(|error| Failure::Usage(format!("{option}: {error}")))?;
    Ok(Zeroizing::new(secret.expose().to_owned()))
}

/// A secret from the terminal, unseen.
fn ask(option: &str, prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "there is no terminal to ask on; give {option} env:NAME or file:PATH"
        )));
    }
    let given = rpassword::prompt_password(prompt).map_err(Failure::failed)?;
    Ok(Zeroizing::new(given))
}
