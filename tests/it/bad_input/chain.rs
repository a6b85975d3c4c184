//! What only the chain can say is wrong: `meritd check` on a real one.

use std::time::Duration;

use alloy::primitives::keccak256;
use meritd::cli::demo::{
    anvil::Mining,
    contracts::IAchievements,
    setting::{PASSPHRASE_VARIABLE, Setting},
    world::World,
};

use super::place::{Ended, Place};

/// The demo's chain and the configuration made for it.
struct Scene {
    world: World,
    setting: Setting,
    place: Place,
}

impl Scene {
    async fn create() -> Self {
        let world = World::create(Mining::Every(Duration::from_millis(40))).await.unwrap();
        let mut place = Place::new("");
        let folder = place.folder().join("demo");
        let setting = Setting::create_in(&world, folder).await.unwrap();
        place.set(PASSPHRASE_VARIABLE, setting.passphrase());
        Self { world, setting, place }
    }

    fn check(&self, more: &[&str]) -> Ended {
        let config = self.setting.config();
        let command = [&["check", "--config", config.to_str().unwrap()], more].concat();
        let ended = Ended::of(self.place.command(&command));
        ended.repeats_not(self.setting.passphrase());
        ended
    }

    /// Replaces in `development.toml`.
    fn edit(&self, from: &str, to: &str) {
        let path = self.setting.config().join("development.toml");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "`{from}` is not in:\n{text}");
        self.setting.write("development.toml", &text.replace(from, to)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_fits_its_chain_is_good() {
    let scene = Scene::create().await;
    let ended = scene.check(&[]);
    ended.says(0, &[]);
    ended.prints(&[
        " ok   configuration: development: 4 contracts, 1 rule sets, 1 signers",
        " ok   endpoint/local/0: chain id 31337",
        " ok   contract/dao: ",
        " ok   contract/badge: says that it is ERC-721",
        " ok   contract/achievements: ",
        " ok   signer/awards: has UNLOCKER_ROLE on achievements",
        " ok   signer/awards: has REVOKER_ROLE on achievements",
        " ok   nats: managed, ",
    ]);
    let ended = scene.check(&["--json"]);
    ended.says(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["ok"], true, "{json:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_says_it_is_another_kind_is_named() {
    let scene = Scene::create().await;
    let (badge, governor) = (scene.world.badge.to_string(), scene.world.governor.to_string());
    scene.edit(&badge, &governor);
    let ended = scene.check(&[]);
    ended.says(2, &["1 of "]);
    let said = format!("{governor} says that it is no ERC-721; correct its kind or address");
    ended.prints(&[&format!("FAIL  contract/badge: {said}")]);

    // One that does not know the question may be anything.
    scene.edit(
        &format!("kind = \"erc721\"\naddress = \"{governor}\""),
        &format!("kind = \"erc721\"\naddress = \"{}\"", scene.world.token),
    );
    let ended = scene.check(&[]);
    ended.says(0, &[]);
    ended.prints(&[" ok   contract/badge: does not say what it is (ERC-165)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_code_is_named() {
    let scene = Scene::create().await;
    let badge = scene.world.badge.to_string();
    let empty = "0x00000000000000000000000000000000DeaDBeef";
    scene.edit(&badge, empty);
    let ended = scene.check(&[]);
    ended.says(2, &["1 of "]);
    ended.prints(&[
        "FAIL  contract/badge: there is no code at",
        empty,
        "correct its address or chain",
    ]);
    ended.prints(&[" ok   contract/dao: "]);

    // What has code but no roles is no achievement manager.
    let achievements = scene.world.achievements.to_string();
    scene.edit(&achievements, &scene.world.token.to_string());
    let ended = scene.check(&[]);
    ended.says(2, &[]);
    ended.prints(&["FAIL  signer/awards: ", "achievements"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_another_chain_is_named_with_both_ids() {
    let scene = Scene::create().await;
    scene.edit("chain_id = 31337", "chain_id = 1");
    let ended = scene.check(&[]);
    ended.says(2, &["1 of "]);
    ended.prints(&["FAIL  endpoint/local/0: it serves chain 31337, not 1", "chains.chain_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_is_named_beside_one_that_answers() {
    let scene = Scene::create().await;
    scene
        .edit("endpoints = [", "endpoints = [{ url = \"http://k3y:s3cr3t@127.0.0.1:1/s3cr3t\" }, ");
    let ended = scene.check(&["--json"]);
    ended.says(2, &["1 of "]);
    ended.repeats_not("s3cr3t");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let bad: Vec<_> =
        json["findings"].as_array().unwrap().iter().filter(|f| !f["problem"].is_null()).collect();
    assert_eq!(bad.len(), 1, "{json:#}");
    assert_eq!(bad[0]["what"], "endpoint/local/0");
    let problem = bad[0]["problem"].as_str().unwrap();
    assert!(problem.contains("http://127.0.0.1:1 does not answer"), "{problem}");
    assert!(problem.contains("refused"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_without_its_role_is_named_with_the_role() {
    let scene = Scene::create().await;
    let taken = IAchievements::revokeRoleCall {
        role: keccak256("UNLOCKER_ROLE"),
        account: scene.setting.signer(),
    };
    let achievements = scene.world.achievements;
    scene.world.admin_call("revoke a role", achievements, taken).await.unwrap();
    let ended = scene.check(&[]);
    ended.says(2, &["1 of "]);
    let lacks = format!("{} lacks UNLOCKER_ROLE on achievements", scene.setting.signer());
    ended.prints(&["FAIL  signer/awards: ", &lacks, "have its admin grant it"]);
    ended.prints(&[" ok   signer/awards: has REVOKER_ROLE on achievements"]);
}
