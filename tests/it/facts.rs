//! Facts that no chain has, from a signature to an achievement on chain.

use std::{collections::BTreeMap, fs};

use alloy::{
    primitives::{Address, B256, U256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use meritd::{
    cli::demo::{contracts::IAchievements::defineAchievementCall, world::Ballot},
    domain::Name,
    facts::signing_hash,
};
use serde_json::{Value as Json, json};

use crate::support::{self, Daemon, PATIENCE, until};

const RULES: &str = r#"
id = "offline"
signer = "awards"
achievements_contract = "achievements"

[[achievements]]
name = "voice-and-vote"
id = 81
[achievements.when]
all = [
    { event = "forum.posted", subject = "author", where = "likes >= 3", distinct = "fact_id", count = 2 },
    { event = "dao.vote_cast", subject = "voter" },
]
"#;

struct Forum {
    key: PrivateKeySigner,
    http: reqwest::Client,
}

impl Forum {
    /// Of a daemon whose forum this is.
    fn of(daemon: &Daemon) -> Self {
        let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x51)).unwrap();
        let file = daemon.setting.config().join("development.toml");
        let facts = format!(
            "\n[[facts]]\nname = \"forum\"\nsigners = [\"{}\"]\nheartbeat_s = 1\n\
             events.posted = {{ author = \"address\", likes = \"uint\" }}\n",
            key.address()
        );
        fs::write(&file, fs::read_to_string(&file).unwrap() + &facts).unwrap();
        fs::write(daemon.setting.config().join("rules/offline.toml"), RULES).unwrap();
        Self { key, http: reqwest::Client::new() }
    }

    fn post(&self, id: &str, author: Address, likes: &str) -> Json {
        let fields: BTreeMap<String, Json> =
            [("author".to_owned(), json!(author)), ("likes".to_owned(), json!(likes))].into();
        let hash = signing_hash(&Name::new("forum").unwrap(), id, "posted", &fields);
        let signature = self.key.sign_hash_sync(&hash).unwrap().to_string();
        json!({ "id": id, "event": "posted", "fields": fields, "signature": signature })
    }

    async fn send(&self, daemon: &Daemon, to: &str, fact: &Json) -> (u16, Json) {
        let url = format!("{}/api/v1/facts/{to}", daemon.url());
        let answer = self.http.post(url).body(fact.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn what_was_said_off_chain_counts_with_what_happened_on_it() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let forum = Forum::of(&daemon);
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    let define = defineAchievementCall { id: U256::from(81), uri: "x".into() };
    world.admin_call("define", world.achievements, define).await.unwrap();
    world.join(ada, ada).await.unwrap();
    let proposal = world.propose(ada, "Plant a garden").await.unwrap();
    daemon.start().await;

    let first = forum.post("post-1", ada, "3");
    let (code, taken) = forum.send(&daemon, "forum", &first).await;
    assert_eq!((code, &taken["known"]), (201, &json!(false)), "{taken}");
    let (code, again) = forum.send(&daemon, "forum", &first).await;
    assert_eq!((code, &again["event"], &again["known"]), (200, &taken["event"], &json!(true)));
    forum.send(&daemon, "forum", &forum.post("post-2", ada, "1")).await;
    until("voting is open", PATIENCE, async || {
        (world.proposal_state(&proposal).await.unwrap() == 1).then_some(())
    })
    .await;
    world.vote(ada, &proposal, Ballot::For, "yes").await.unwrap();
    let missing = until("the vote and one post count", PATIENCE, async || {
        let explained = daemon.explain("voice-and-vote", ada).await?;
        let members = explained["condition"]["members"].as_array()?.clone();
        let have: Vec<Json> = members.iter().map(|member| member["have"].clone()).collect();
        (have == [json!("1"), json!("1")]).then(|| explained["missing"].clone())
    })
    .await;
    assert_eq!(missing, json!(["1 more distinct fact_id in forum.posted"]));

    // Whatever the process knew: the stream has the facts.
    daemon.kill().await;
    daemon.start().await;
    let (code, again) = forum.send(&daemon, "forum", &first).await;
    assert_eq!((code, &again["event"]), (200, &taken["event"]));
    let (code, _) = forum.send(&daemon, "forum", &forum.post("post-3", ada, "5")).await;
    assert_eq!(code, 201);
    until("it is unlocked on chain", PATIENCE, async || {
        world.has_achievement(ada, 81).await.unwrap().then_some(())
    })
    .await;
    assert!(!world.has_achievement(bo, 81).await.unwrap());
    let explained = daemon.explain("voice-and-vote", ada).await.unwrap();
    assert_eq!(explained["off_chain"], json!(["forum"]), "marked so");
    let arguments = ["explain", "voice-and-vote", &ada.to_checksum(None)];
    let output = daemon.command(&arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("forum.posted, said off chain (fact 0x"), "{text}");
}

#[tokio::test]
async fn what_may_not_be_said_is_refused_and_the_daemon_goes_on() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let forum = Forum::of(&daemon);
    let ada = world.anvil.account(1);
    daemon.start().await;
    let good = forum.post("post-1", ada, "3");
    let with = |pointer: &str, value: Json| {
        let mut fact = good.clone();
        *fact.pointer_mut(pointer).unwrap() = value;
        fact
    };
    for (to, fact, code, said) in [
        ("forums", good.clone(), 404, "known: forum"),
        ("forum", with("/fields/likes", json!("4")), 403, "none of the source's signers"),
        ("forum", with("/signature", json!(null)), 403, "not signed"),
        ("forum", json!([]), 400, "no fact"),
        ("forum", forum.post("", ada, "3"), 400, "1 to 128"),
        ("forum", forum.post("x", ada, "many"), 400, "field `likes`"),
    ] {
        let (answered, problem) = forum.send(&daemon, to, &fact).await;
        assert_eq!(answered, code, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    let huge = json!({ "id": "x".repeat(100_000) });
    let url = format!("{}/api/v1/facts/forum", daemon.url());
    let answer = forum.http.post(url).body(huge.to_string()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 413);
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "too_large", "{problem}");
    assert_eq!(forum.send(&daemon, "forum", &good).await.0, 201);
    let (code, problem) = forum.send(&daemon, "forum", &forum.post("post-1", ada, "9")).await;
    assert_eq!(code, 409, "{problem}");
    let (_, metrics) = daemon.get("/metrics").await;
    let refused = "meritd_facts_total{outcome=\"refused\",source=\"forum\"} 5";
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");
}
