//! Keys that a key management service keeps.

use std::fs;

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use tokio::process::Command;

use super::Scene;
use crate::support::{Daemon, contribute, kms::Vault};

/// The signer's key, as its keystore has it.
fn key_of(scene: &Scene) -> PrivateKeySigner {
    let file = scene.daemon.setting.config().join("keys/awards.json");
    PrivateKeySigner::decrypt_keystore(file, scene.daemon.setting.passphrase()).unwrap()
}

/// Gives the signer another key.
fn use_key(scene: &Scene, section: &str) {
    let file = scene.daemon.setting.config().join("development.toml");
    let mut whole: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    let key: toml::Table = format!("key = {section}").parse().unwrap();
    let signers = whole.get_mut("signers").and_then(toml::Value::as_array_mut).unwrap();
    signers[0].as_table_mut().unwrap().extend(key);
    fs::write(&file, whole.to_string()).unwrap();
    // So that nothing else can sign.
    fs::remove_file(scene.daemon.setting.config().join("keys/awards.json")).unwrap();
}

/// Unlocks land; none while the service is down, and then what waited.
async fn lands_through_an_outage(scene: &mut Scene, vault: &Vault, name: &str) {
    scene.daemon.start().await;
    scene.earns(scene.member(4)).await;
    assert!(vault.signatures() > 0);
    vault.set_down(true);
    contribute(&scene.world, scene.member(5)).await;
    scene.signer_says(name).await;
    scene.signer_says("the stand-in is down").await;
    let signatures = vault.signatures();
    assert!(!scene.has(scene.member(5)).await);
    vault.set_down(false);
    scene.lands(scene.member(5)).await;
    assert!(vault.signatures() > signatures);
    scene.is_right().await;
}

/// `meritd keys address` with further words; what it printed, and its code.
async fn address_of(words: &[&str], variables: &[(&str, String)]) -> (Option<i32>, String) {
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let mut command = Command::new(Daemon::program());
    let ended =
        command.args(["keys", "address"]).args(words).envs(variables).output().await.unwrap();
    let said = if ended.status.success() { ended.stdout } else { ended.stderr };
    (ended.status.code(), String::from_utf8(said).unwrap())
}

#[cfg(feature = "aws-kms")]
mod aws {
    use super::*;
    use crate::support::kms::AwsKms;

    #[tokio::test]
    async fn unlocks_land_with_a_key_that_aws_keeps() {
        let mut scene = Scene::set("bump_after_s = 2").await;
        let service = AwsKms::start(Vault::new(&key_of(&scene))).await;
        use_key(&scene, &service.section());
        for (name, value) in service.variables() {
            scene.daemon.setting.set_variable(name, &value);
        }
        lands_through_an_outage(&mut scene, &service.vault, "AWS KMS key alias/awards").await;
    }

    #[tokio::test]
    async fn an_alias_that_was_turned_to_another_key_signs_nothing() {
        let mut scene = Scene::set("bump_after_s = 2").await;
        let service = AwsKms::start(Vault::new(&PrivateKeySigner::random())).await;
        let (expected, found) = (scene.signer(), service.vault.account());
        use_key(&scene, &service.section().replace(&found.to_string(), &expected.to_string()));
        for (name, value) in service.variables() {
            scene.daemon.setting.set_variable(name, &value);
        }
        scene.daemon.start().await;
        contribute(&scene.world, scene.member(4)).await;
        scene.signer_says(&format!("is the account {found}")).await;
        assert_eq!((service.vault.signatures(), scene.broadcasts()), (0, 0));
    }

    #[tokio::test]
    async fn the_account_of_a_key_is_told_and_what_the_service_says_against_it() {
        let key = PrivateKeySigner::random();
        let service = AwsKms::start(Vault::new(&key)).await;
        let (url, variables) = (service.url(), service.variables());
        let ask = async |key_id: &str, variables: &[(&str, String)]| {
            let words =
                ["--aws-kms", key_id, "--region", "eu-central-1", "--endpoint", url.as_str()];
            address_of(&words, variables).await
        };
        let (code, said) = ask(service.key_id(), &variables).await;
        assert_eq!((code, said.trim().parse::<Address>().unwrap()), (Some(0), key.address()));
        let (code, said) = ask("alias/other", &variables).await;
        assert!(code == Some(1) && said.contains("no such key"), "{said}");
        let stranger = variables.clone().map(|(name, value)| (name, value.replace("AKID", "X")));
        let (code, said) = ask(service.key_id(), &stranger).await;
        assert!(code == Some(1) && said.contains("the security token is invalid"), "{said}");
        assert!(!said.contains("stand-in"), "{said}");
    }
}

#[cfg(feature = "gcp-kms")]
mod gcp {
    use super::*;
    use crate::support::kms::GcpKms;

    #[tokio::test]
    async fn unlocks_land_with_a_key_that_google_keeps() {
        let mut scene = Scene::set("bump_after_s = 2").await;
        let service = GcpKms::start(Vault::new(&key_of(&scene))).await;
        use_key(&scene, &service.section());
        for (name, value) in service.variables(&scene.daemon.setting.config()) {
            scene.daemon.setting.set_variable(name, &value);
        }
        let name = format!("Google Cloud KMS key {}", service.version());
        lands_through_an_outage(&mut scene, &service.vault, &name).await;
    }

    #[tokio::test]
    async fn the_account_of_a_key_version_is_told_and_what_the_service_says_against_it() {
        let key = PrivateKeySigner::random();
        let service = GcpKms::start(Vault::new(&key)).await;
        let folder = tempfile::tempdir().unwrap();
        let (url, variables) = (service.url(), service.variables(folder.path()));
        let ask = async |version: &str| {
            address_of(&["--gcp-kms", version, "--endpoint", url.as_str()], &variables).await
        };
        let (code, said) = ask(service.version()).await;
        assert_eq!((code, said.trim().parse::<Address>().unwrap()), (Some(0), key.address()));
        let (code, said) = ask(&service.version().replace("Versions/1", "Versions/2")).await;
        assert!(code == Some(1) && said.contains("no such key version"), "{said}");
        let (code, said) = ask("unlock").await;
        assert!(code == Some(2) && said.contains("cryptoKeyVersions/N"), "{said}");
    }

    /// The way to the public service: nothing of it panics, whatever is there.
    #[tokio::test]
    async fn a_service_that_speaks_no_tls_is_an_error_and_no_panic() {
        let service = GcpKms::start(Vault::new(&PrivateKeySigner::random())).await;
        let folder = tempfile::tempdir().unwrap();
        let url = service.url().replace("http://127.0.0.1", "https://localhost");
        let words = ["--gcp-kms", service.version(), "--endpoint", url.as_str()];
        let (code, said) = address_of(&words, &service.variables(folder.path())).await;
        assert!(code == Some(1) && said.contains("Google Cloud KMS key"), "{said}");
    }
}
