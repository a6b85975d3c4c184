//! Rule sets tried on history, before they may sign.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use alloy::primitives::Address;
use meritd::cli::demo::oracle;
use serde_json::{Value as Json, json};

use crate::support::{self, Daemon};

const WITHIN: Duration = Duration::from_secs(120);

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program without keys: trying needs none.
async fn run(daemon: &Daemon, command: &str, files: &[&Path], more: &[&str]) -> Ended {
    let mut program = tokio::process::Command::new(Daemon::program());
    program
        .arg(command)
        .args(files)
        .args(["--environment", "development", "--config"])
        .arg(daemon.setting.config())
        .args(more)
        .kill_on_drop(true);
    let output = tokio::time::timeout(WITHIN, program.output()).await.unwrap().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

async fn json_of(daemon: &Daemon, command: &str, files: &[&Path], more: &[&str]) -> Json {
    let ended = run(daemon, command, files, &[more, &["--json"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Who has what, of a report's awards.
fn held(report: &Json) -> BTreeSet<(Address, u64)> {
    let awards = report["awards"].as_array().unwrap();
    let award = |award: &Json| {
        assert_eq!(award["change"], "earned", "{award}");
        let text = |key: &str| award[key].as_str().unwrap().to_owned();
        (text("user").parse().unwrap(), text("achievement_id").parse().unwrap())
    };
    awards.iter().map(award).collect()
}

#[tokio::test]
async fn a_set_tried_on_history_earns_what_the_daemon_unlocked_from_either_source() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let mut story = support::story(&world);
    story.everybody_joins().await.unwrap();
    daemon.start().await;
    support::play(&world, &mut story).await;
    support::assert_right_outcome(&world, &story).await;
    let set = daemon.setting.config().join("rules/participation.toml");

    let by_stream = json_of(&daemon, "backtest", &[&set], &[]).await;
    assert_eq!(held(&by_stream), oracle::expected(&world).await.unwrap());
    assert!(by_stream["cost"]["ether"].is_string(), "{}", by_stream["cost"]);
    let head = world.anvil.block_number().await.unwrap().to_string();
    let endpoint = ["--source", "endpoint", "--to-block", &head];
    let by_endpoint = json_of(&daemon, "backtest", &[&set], &endpoint).await;
    assert_eq!(by_endpoint["awards"], by_stream["awards"]);
    assert_eq!(by_endpoint["achievements"], by_stream["achievements"]);

    // A part of history: nobody earned anything before the first vote.
    let none = json_of(&daemon, "backtest", &[&set], &["--to-block", "1"]).await;
    assert_eq!(none["awards"], json!([]));

    // And a part that ends between two watermarks gives the same from either source.
    let middle = (world.anvil.block_number().await.unwrap() / 2).to_string();
    let half = json_of(&daemon, "backtest", &[&set], &["--to-block", &middle]).await;
    let bounded = ["--source", "endpoint", "--to-block", &middle];
    let half_by_endpoint = json_of(&daemon, "backtest", &[&set], &bounded).await;
    assert_eq!(half["awards"], half_by_endpoint["awards"]);
    assert_ne!(half["awards"], json!([]));

    let folder = daemon.setting.config();
    let (csv, svg) = (folder.join("awards.csv"), folder.join("awards.svg"));
    let files = ["--csv", csv.to_str().unwrap(), "--svg", svg.to_str().unwrap()];
    let told =
        run(&daemon, "backtest", &[&set], &[&files[..], &["--gas-price", "2 gwei"]].concat()).await;
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    assert!(
        told.stdout.contains("first-vote") && told.stdout.contains("2.000000000 gwei"),
        "{}",
        told.stdout
    );
    let rows = fs::read_to_string(&csv).unwrap();
    let awards = by_stream["awards"].as_array().unwrap().len();
    assert_eq!(rows.lines().count(), awards + 1, "{rows}");
    assert!(rows.starts_with("time,change,achievement,"), "{rows}");
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("polyline"), "{drawn}");
    assert!(drawn.contains("first-vote"), "{drawn}");
    let to_stdout = run(&daemon, "backtest", &[&set], &["--csv", "-"]).await;
    assert_eq!(to_stdout.stdout, rows);

    // Another rule: two votes instead of three, and no heavyweights.
    let text = fs::read_to_string(&set).unwrap();
    let changed =
        text.replace("count = 3", "count = 2").replace("gte = \"500e18\"", "gte = \"1e40\"");
    let new = folder.join("new.toml");
    fs::write(&new, &changed).unwrap();
    let difference = json_of(&daemon, "diff", &[&set, &new], &["--gas-price", "2 gwei"]).await;
    let names = |of: &str| -> BTreeSet<String> {
        let all = difference[of].as_array().unwrap();
        all.iter().map(|it| it["achievement"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("gains"), ["steady-voice".to_owned()].into(), "{difference:#}");
    assert_eq!(names("losses"), ["heavyweight".to_owned()].into(), "{difference:#}");
    let configured = json_of(&daemon, "diff", &[&new], &["--gas-price", "2 gwei"]).await;
    assert_eq!(configured, difference, "of one file, the other is the configured one");
    let same = run(&daemon, "diff", &[&set], &[]).await;
    assert!(same.stdout.contains("both mean the same"), "{}", same.stdout);
}

#[tokio::test]
async fn what_can_not_be_tried_is_refused_with_the_way_out() {
    let world = support::world().await;
    let daemon = Daemon::of(&world).await;
    let set = daemon.setting.config().join("rules/participation.toml");
    let missing = daemon.setting.config().join("no-such.toml");
    let broken = daemon.setting.config().join("broken.toml");
    fs::write(&broken, "id = \"x\"\nsigner = \"awards\"\nachievements = 3\n").unwrap();
    for (files, more, code, said) in [
        (vec![&*missing], vec![], 2, "docs/rules.md"),
        (vec![&*broken], vec![], 2, "broken.toml:3"),
        (vec![&*set], vec!["--from-block", "9", "--to-block", "3"], 2, "--from-block 9 is above"),
        (vec![&*set], vec!["--gas-price", "cheap"], 2, "12 gwei"),
        (vec![&*set], vec!["--source", "file"], 2, "stream, endpoint"),
        (vec![&*set], vec![], 1, "--source endpoint"),
        (vec![&*set], vec!["--source", "endpoint", "--to-block", "999999"], 1, "not at 999999"),
    ] {
        let ended = run(&daemon, "backtest", &files, &more).await;
        assert_eq!(ended.code, Some(code), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{more:?}: {}", ended.stderr);
    }
    let unwritable = ["--source", "endpoint", "--to-block", "3", "--svg", "/no/such/folder/x.svg"];
    let ended = run(&daemon, "backtest", &[&set], &unwritable).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("/no/such/folder/x.svg can't be written"), "{}", ended.stderr);
}
