//! `meritd verify` finds what stream and chain don't agree on, by itself.

use std::time::Duration;

use alloy::{primitives::keccak256, providers::Provider as _, rpc::types::Filter};
use meritd::cli::demo::{broker, setting::PASSPHRASE_VARIABLE};
use serde_json::{Value as Json, json};

use crate::support::{
    self, Daemon,
    endpoint::{
        Cap, Edit, Fault, ForgedLog, Reach, Refusal, Script, ScriptedEndpoint, When, Which,
        wording::STRUCTURAL,
    },
    until,
};

/// How long it may take, on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
const VOTES: &str = "merit.v1.events.local.dao.vote_cast";

/// Exit code, stdout and stderr of `meritd verify`.
async fn run(daemon: &Daemon, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(Daemon::program());
    command
        .args(["verify", "--chain", "local", "--environment", "development", "--config"])
        .arg(daemon.setting.config())
        .args(more)
        .env(PASSPHRASE_VARIABLE, daemon.setting.passphrase())
        .kill_on_drop(true);
    let output = tokio::time::timeout(WITHIN, command.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Its exit code and its report.
pub(super) async fn report(daemon: &Daemon, more: &[&str]) -> (Option<i32>, Json) {
    let (code, stdout, stderr) = run(daemon, &[more, &["--json"]].concat()).await;
    let report = serde_json::from_str(&stdout);
    (code, report.unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
}

/// The differences of one kind.
fn of_kind<'a>(report: &'a Json, kind: &str) -> Vec<&'a Json> {
    let all = report["differences"].as_array().unwrap();
    all.iter().filter(|difference| difference["kind"] == kind).collect()
}

fn assert_nothing_differs((code, report): (Option<i32>, Json)) -> Json {
    assert_eq!((code, &report["differences_total"]), (Some(0), &json!(0)), "{report:#}");
    assert_eq!(report["not_proved"], json!([]), "{report:#}");
    assert!(report["proved_blocks"].as_u64().unwrap() > 0, "{report:#}");
    report
}

#[tokio::test]
async fn verify_finds_planted_hole() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let (code, _, stderr) = run(&daemon, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("nats-client.json") && stderr.contains("meritd run"), "{stderr}");

    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    support::play(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;

    // Nothing was planted yet; a reorg was retracted on the way.
    let whole = assert_nothing_differs(report(&daemon, &[]).await);
    assert_eq!(whole["contracts"].as_array().unwrap().len(), 4, "{whole:#}");
    assert!(whole["events"].as_u64().unwrap() > 10, "{whole:#}");
    let sample = assert_nothing_differs(report(&daemon, &["--sample", "3", "--seed", "7"]).await);
    assert_eq!((&sample["seed"], &sample["blocks"]), (&json!(7), &sample["proved_blocks"]));
    let (code, text, _) = run(&daemon, &["--contract", "dao", "--to-block", "20"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("0–20") && text.contains("21 blocks of chain local"), "{text}");

    // A vote is lost, and a vote is planted that nobody cast.
    let heard = broker::listen(&daemon.setting).await.unwrap();
    let jetstream = async_nats::jetstream::new(heard.client.clone());
    let stream = jetstream.get_stream("MERIT_EVENTS").await.unwrap();
    let vote = stream.get_first_raw_message_by_subject(VOTES, 1).await.unwrap();
    let said: Json = serde_json::from_slice(&vote.payload).unwrap();
    assert!(stream.delete_message(vote.sequence).await.unwrap());
    let (code, holed) = report(&daemon, &[]).await;
    assert_eq!(code, Some(1), "{holed:#}");
    let missing = of_kind(&holed, "missing");
    assert_eq!(missing.len(), 1, "{holed:#}");
    assert_eq!(missing[0]["event"], said["data"]["id"]);
    assert_eq!(missing[0]["contract"], "dao");
    assert_eq!(missing[0]["block"], said["data"]["block"]["number"]);
    assert_eq!(missing[0]["transaction"], said["data"]["origin"]["transaction_hash"]);
    let holes = of_kind(&holed, "hole");
    assert_eq!((holes.len(), &holes[0]["contract"]), (1, &json!("dao")), "{holed:#}");
    assert_eq!(holed["differences_total"], 2, "{holed:#}");
    assert_eq!(report(&daemon, &["--contract", "badge"]).await.0, Some(0));

    let mut forged = said.clone();
    let id = format!("0x{}", "ee".repeat(32));
    (forged["id"], forged["data"]["id"]) = (json!(id), json!(id));
    forged["data"]["position"]["log_index"] = json!(900);
    let ack = jetstream.publish(VOTES, forged.to_string().into()).await.unwrap();
    ack.await.unwrap();
    // And the lost one comes back, but says something else.
    let mut changed = said.clone();
    changed["data"]["fields"]["support"] = json!("0");
    changed["data"]["fields"]["reason"] = json!("I never said that");
    jetstream.publish(VOTES, changed.to_string().into()).await.unwrap().await.unwrap();
    // A contract's watermark must follow what is to be read with it.
    until("a watermark of the governor comes", support::PATIENCE, async || {
        let last = stream.get_last_raw_message_by_subject("merit.v1.watermarks.local.dao").await;
        let planted = stream.get_last_raw_message_by_subject(VOTES).await.unwrap().sequence;
        (last.unwrap().sequence > planted).then_some(())
    })
    .await;
    let (code, planted) = report(&daemon, &[]).await;
    assert_eq!(code, Some(1), "{planted:#}");
    let extra = of_kind(&planted, "extra");
    assert_eq!((extra.len(), &extra[0]["event"]), (1, &json!(id)), "{planted:#}");
    let different = of_kind(&planted, "different");
    assert_eq!((different.len(), &different[0]["event"]), (1, &said["data"]["id"]), "{planted:#}");
    let (_, text, stderr) = run(&daemon, &[]).await;
    println!("{text}");
    assert!(text.contains(&id), "{text}");
    assert!(stderr.contains("3 differences between stream and chain"), "{stderr}");

    // The daemon finds the hole at its next start, and reads again from there.
    assert!(daemon.stop().await.success());
    let (code, _, stderr) = run(&daemon, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("is the daemon running?"), "{stderr}");
    daemon.start().await;
    until("the governor is told again", support::PATIENCE, async || {
        let (code, _) = report(&daemon, &[]).await;
        (code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn verify_names_lies_and_duplicates_and_says_what_it_can_not_prove() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    support::play(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;
    let topic = |declaration: &str| keccak256(declaration);
    let voted = topic("VoteCast(address,uint256,uint8,uint256,string)");
    let unlocked = topic("AchievementUnlocked(address,uint256,uint256,bytes)");
    let is_vote = move || Which::those(move |log| log.topic0() == Some(&voted));
    let logs = async |topic| {
        let filter = Filter::new().from_block(0).event_signature(topic);
        world.anvil.provider().get_logs(&filter).await.unwrap()
    };
    let votes = logs(voted).await.len();
    let first_unlock = logs(unlocked).await.remove(0);

    // The daemon goes on with the node itself: a configuration is read once.
    let endpoint = ScriptedEndpoint::start(world.anvil.url()).await;
    support::reach_through(&world, &daemon, &[&endpoint], "");
    assert_nothing_differs(report(&daemon, &[]).await);

    // Refusals, rate limits and hiccups only take longer.
    let flaky = Script::honest()
        .seed(9)
        .cap(Cap::Blocks { most: 7, wording: STRUCTURAL[0] })
        .fault(When::always().after(20).times(3), Fault::rate_limited(None))
        .fault(When::always().share(0.05).times(4), Fault::Cut);
    endpoint.set(flaky);
    assert_nothing_differs(report(&daemon, &[]).await);

    // Who withholds logs is refuted by the receipts, and the stream is not blamed.
    endpoint.set(Script::honest().lie(Edit::Withhold(is_vote()), Reach::Logs));
    let (code, withheld) = report(&daemon, &[]).await;
    assert_eq!((code, &withheld["differences_total"]), (Some(1), &json!(votes)), "{withheld:#}");
    assert_eq!(of_kind(&withheld, "withheld").len(), votes, "{withheld:#}");
    endpoint.set(Script::honest().lie(Edit::Alter(is_vote()), Reach::Logs));
    let (code, altered) = report(&daemon, &[]).await;
    assert_eq!((code, of_kind(&altered, "lie").len()), (Some(1), votes), "{altered:#}");

    // Receipts that were doctored, too, don't fit their header: a lie, or not
    // proved where a receipt has more than is known of.
    endpoint.set(Script::honest().lie(Edit::Withhold(is_vote()), Reach::Receipts));
    let (code, doctored) = report(&daemon, &["--contract", "dao"]).await;
    assert_eq!((code, of_kind(&doctored, "extra").len()), (Some(1), votes), "{doctored:#}");
    let refuted = !of_kind(&doctored, "lie").is_empty() || doctored["not_proved"] != json!([]);
    assert!(refuted, "{doctored:#}");
    // Where another endpoint tells the truth, only the liar is named.
    let honest = ScriptedEndpoint::start(world.anvil.url()).await;
    support::reach_through(&world, &daemon, &[&endpoint, &honest], "");
    let (_, refuted) = report(&daemon, &["--contract", "dao"]).await;
    assert!(of_kind(&refuted, "extra").is_empty(), "{refuted:#}");
    assert!(!of_kind(&refuted, "withheld").is_empty(), "{refuted:#}");
    support::reach_through(&world, &daemon, &[&endpoint], "");

    // Without receipts nothing is proved, which is no difference.
    let method = "eth_getBlockReceipts";
    let refusal = Refusal::new(-32601, "the method eth_getBlockReceipts does not exist");
    let blind = || Script::honest().refusal(When::always().on(method), refusal.clone());
    endpoint.set(blind());
    let (code, unproved) = report(&daemon, &[]).await;
    assert_eq!((code, &unproved["proved_blocks"]), (Some(0), &json!(0)), "{unproved:#}");
    let why = unproved["not_proved"].as_array().unwrap();
    assert!(why.iter().any(|why| why["because"] == "the endpoints give no receipts"), "{why:?}");

    // An achievement that was unlocked twice, as far as can be seen.
    let block = first_unlock.block_number.unwrap() + 1;
    let forged = ForgedLog { block, log: first_unlock.inner };
    endpoint.set(blind().lie(Edit::Invent(forged), Reach::Logs));
    let (code, twice) = report(&daemon, &["--contract", "achievements"]).await;
    assert_eq!(code, Some(1), "{twice:#}");
    let duplicate = of_kind(&twice, "duplicate");
    assert_eq!((duplicate.len(), &duplicate[0]["block"]), (1, &json!(block)), "{twice:#}");
    assert_eq!(of_kind(&twice, "missing").len(), 1, "{twice:#}");

    // An endpoint of another chain is not asked.
    endpoint.set(Script::honest().chain_id(5));
    let (code, _, stderr) = run(&daemon, &[]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("it serves chain 5, not 31337"), "{stderr}");
}
