//! What becomes of what users have when a rule set is edited.

use std::fs;

use alloy::primitives::{Address, U256};
use meritd::{
    cli::demo::{
        contracts::IAchievements::defineAchievementCall, setting::PASSPHRASE_VARIABLE, world::World,
    },
    streams::subjects::StreamId,
};
use serde_json::Value as Json;

use crate::support::{self, Daemon, PATIENCE, until};

const ID: u64 = 61;
const OTHER: u64 = 62;

/// Whoever contributed so often.
fn rules(more: &str, count: u64) -> String {
    format!(
        "id = \"edited\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n{more}\n\
         [[achievements]]\nname = \"giver\"\nid = {ID}\n\
         when = {{ event = \"contributions.contributed\", subject = \"member\", count = {count} }}\n"
    )
}

struct Scene {
    world: World,
    daemon: Daemon,
}

impl Scene {
    /// Members 1 and 2 have contributed once and twice, and both have the achievement.
    async fn begin() -> Self {
        let world = support::world().await;
        let mut daemon = Daemon::of(&world).await;
        for id in [ID, OTHER] {
            let define = defineAchievementCall { id: U256::from(id), uri: "x".into() };
            world.admin_call("define", world.achievements, define).await.unwrap();
        }
        support::contribute(&world, world.anvil.account(1)).await;
        for _ in 0..2 {
            support::contribute(&world, world.anvil.account(2)).await;
        }
        fs::write(daemon.setting.config().join("rules/edited.toml"), rules("", 1)).unwrap();
        daemon.start().await;
        let scene = Self { world, daemon };
        scene.comes_to(1, ID, true).await;
        scene.comes_to(2, ID, true).await;
        scene
    }

    fn member(&self, number: usize) -> Address {
        self.world.anvil.account(number)
    }

    async fn comes_to(&self, member: usize, id: u64, has: bool) {
        let user = self.member(member);
        until(&format!("member {member} has {id}: {has}"), PATIENCE, async || {
            (self.world.has_achievement(user, id).await.unwrap() == has).then_some(())
        })
        .await;
    }

    /// Stops the daemon, edits the set, and starts it again.
    async fn edit(&mut self, rules: &str) {
        self.daemon.stop().await;
        fs::write(self.daemon.setting.config().join("rules/edited.toml"), rules).unwrap();
        self.daemon.start().await;
    }

    /// The same, where the set then keeps the daemon from being ready.
    async fn edit_to_wait(&mut self, rules: &str) -> String {
        self.daemon.stop().await;
        fs::write(self.daemon.setting.config().join("rules/edited.toml"), rules).unwrap();
        self.daemon.spawn();
        self.daemon.wait_listening().await;
        until("it says why it waits", PATIENCE, async || {
            let actor = self.daemon.actor("rule_set/edited").await?;
            let why = actor["observed"]["not_ready"].as_str()?;
            why.contains("on_change").then(|| why.to_owned())
        })
        .await
    }

    /// What `meritd check` says of a file, and whether all is well.
    async fn checks(&self, rules: &str) -> (bool, String) {
        let config = self.daemon.setting.config();
        fs::write(config.join("rules/edited.toml"), rules).unwrap();
        let output = tokio::process::Command::new(Daemon::program())
            .args(["check", "--config"])
            .arg(config)
            .env(PASSPHRASE_VARIABLE, self.daemon.setting.passphrase())
            .output()
            .await
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The set has read all that there is by the version of its file.
    async fn is_read(&self) {
        let head = self.world.anvil.block_number().await.unwrap();
        until("the set has read all", PATIENCE, async || {
            let actor = self.daemon.actor("rule_set/edited").await?;
            let through = &actor["observed"]["fold"]["applied_through"]["31337"];
            (through.as_u64()? >= head).then_some(())
        })
        .await;
    }

    /// What the set said, as state and code.
    async fn said(&self) -> Vec<(String, String)> {
        let mut said = Vec::new();
        for (subject, payload) in self.daemon.stream(StreamId::Unlocks).await {
            if subject.starts_with("merit.v1.unlocks.edited.") {
                let message: Json = serde_json::from_slice(&payload).unwrap();
                let text = |key: &str| message["data"][key].as_str().unwrap_or("").to_owned();
                if ["requested", "retracted"].contains(&text("state").as_str()) {
                    said.push((text("state"), text("code")));
                }
            }
        }
        said
    }
}

#[tokio::test]
async fn a_changed_set_waits_until_it_says_what_becomes_of_what_it_gave() {
    let mut scene = Scene::begin().await;
    let before = scene.said().await;
    let why = scene.edit_to_wait(&rules("", 2)).await;
    assert!(why.contains("meritd diff") && why.contains("on_change"), "{why}");
    assert_eq!(scene.said().await, before);

    // What was given stays; what others come to is given by the new version.
    scene.edit(&rules("on_change = \"carry\"", 2)).await;
    support::contribute(&scene.world, scene.member(3)).await;
    support::contribute(&scene.world, scene.member(3)).await;
    scene.comes_to(3, ID, true).await;
    for member in [1, 2] {
        assert!(scene.world.has_achievement(scene.member(member), ID).await.unwrap());
    }
    assert!(scene.said().await.iter().all(|(state, _)| state == "requested"));
}

/// With a daemon that has the store, and without.
#[tokio::test]
async fn check_tells_that_a_changed_set_would_wait() {
    let mut scene = Scene::begin().await;
    for is_running in [true, false] {
        if !is_running {
            scene.daemon.stop().await;
        }
        let (is_well, said) = scene.checks(&rules("", 1)).await;
        assert!(is_well && said.contains("ok   rules/edited: means what"), "{said}");
        let (is_well, said) = scene.checks(&rules("", 2)).await;
        assert!(!is_well && said.contains("FAIL  rules/edited: it means something else"), "{said}");
        assert!(said.contains("meritd diff") && said.contains("on_change"), "{said}");
        let (is_well, said) = scene.checks(&rules("on_change = \"carry\"", 2)).await;
        assert!(is_well && said.contains("something else than what"), "{said}");
    }
    // One that waits says so itself.
    scene.checks(&rules("", 1)).await;
    scene.daemon.start().await;
    let why = scene.edit_to_wait(&rules("", 2)).await;
    let (is_well, said) = scene.checks(&rules("", 2)).await;
    assert!(!is_well && said.contains(&why), "{said}");
}

#[tokio::test]
async fn a_recomputed_set_takes_back_what_its_new_version_does_not_give() {
    let mut scene = Scene::begin().await;
    scene.edit(&rules("on_change = \"recompute\"", 2)).await;
    scene.comes_to(1, ID, false).await;
    assert!(scene.world.has_achievement(scene.member(2), ID).await.unwrap());
    let retracted: Vec<_> =
        scene.said().await.into_iter().filter(|(state, _)| state == "retracted").collect();
    assert_eq!(retracted, [("retracted".to_owned(), "rule_changed".to_owned())], "once");

    // A restart tells nothing new.
    let before = scene.said().await;
    scene.edit(&rules("on_change = \"recompute\"", 2)).await;
    scene.is_read().await;
    assert_eq!(scene.said().await, before);
}

/// A change that is tried as a shadow first is a change all the same; and back and forth
/// within the time in which the broker knows messages by their ids, nothing is lost.
#[tokio::test]
async fn a_change_that_was_a_shadow_first_is_recomputed_and_can_be_undone() {
    let mut scene = Scene::begin().await;
    scene.edit(&rules("shadow = true", 2)).await;
    scene.is_read().await;
    assert!(scene.said().await.iter().all(|(state, _)| state == "requested"));
    scene.edit_to_wait(&rules("", 2)).await;
    scene.edit(&rules("on_change = \"recompute\"", 2)).await;
    scene.comes_to(1, ID, false).await;
    assert!(scene.world.has_achievement(scene.member(2), ID).await.unwrap());
    scene.edit(&rules("on_change = \"recompute\"", 1)).await;
    scene.comes_to(1, ID, true).await;
}

#[tokio::test]
async fn a_shadow_asks_for_nothing_until_it_comes_out() {
    let mut scene = Scene::begin().await;
    let other = format!(
        "[[achievements]]\nname = \"other\"\nid = {OTHER}\n\
         when = {{ event = \"contributions.contributed\", subject = \"member\" }}\n"
    );
    let edited = |more: &str| format!("{}{other}", rules(more, 1));
    scene.edit(&edited("shadow = true")).await;
    scene.is_read().await;
    support::contribute(&scene.world, scene.member(3)).await;
    scene.is_read().await;
    assert!(scene.said().await.iter().all(|(state, _)| state == "requested"));
    assert_eq!(scene.said().await.len(), 2, "of the version before");
    let explained = until("it explains", PATIENCE, async || {
        scene.daemon.explain("other", scene.member(3)).await.filter(|it| it["earned"] == true)
    })
    .await;
    assert_eq!(explained["rule_set"], "edited");
    let (_, metrics) = scene.daemon.get("/metrics").await;
    assert!(metrics.contains("state=\"shadow_requested\""), "{metrics}");
    scene.edit(&edited("on_change = \"carry\"")).await;
    for member in [1, 2, 3] {
        scene.comes_to(member, OTHER, true).await;
    }
}

/// What happened before counts for nothing.
#[tokio::test]
async fn from_now_on_only_what_happens_after_a_time_counts() {
    let mut scene = Scene::begin().await;
    scene.is_read().await;
    let head = scene.world.anvil.block_number().await.unwrap();
    let now = scene.world.anvil.block_time(head.into()).await.unwrap() + 1;
    let since = time::OffsetDateTime::from_unix_timestamp(i64::try_from(now).unwrap()).unwrap();
    let since = since.format(&time::format_description::well_known::Rfc3339).unwrap();
    let other = format!(
        "[[achievements]]\nname = \"other\"\nid = {OTHER}\n\
         when = {{ event = \"contributions.contributed\", subject = \"member\" }}\n"
    );
    let more = format!("on_change = \"from-now\"\nsince = {since}");
    scene.edit(&format!("{}{other}", rules(&more, 2))).await;
    scene.is_read().await;
    until("the chain's time has come", PATIENCE, async || {
        let head = scene.world.anvil.block_number().await.unwrap();
        (scene.world.anvil.block_time(head.into()).await.unwrap() > now).then_some(())
    })
    .await;
    support::contribute(&scene.world, scene.member(2)).await;
    scene.comes_to(2, OTHER, true).await;
    scene.is_read().await;
    assert!(!scene.world.has_achievement(scene.member(1), OTHER).await.unwrap());
    for member in [1, 2] {
        assert!(scene.world.has_achievement(scene.member(member), ID).await.unwrap(), "{member}");
    }
}
