//! `meritd explain` answers why, and why not yet.

use alloy::primitives::{Address, U256, keccak256};
use meritd::cli::demo::{
    contracts::{IAchievements, IBadge},
    world::Ballot,
};
use serde_json::Value as Json;

use crate::support::{self, Daemon, PATIENCE, until};

#[tokio::test]
async fn explain_names_the_logs_that_counted_and_what_is_missing() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    world.join(ada, ada).await.unwrap();
    daemon.start().await;
    let proposal = world.propose(ada, "Plant a garden").await.unwrap();
    until("the vote is open", PATIENCE, async || {
        (world.proposal_state(&proposal).await.unwrap() == 1).then_some(())
    })
    .await;
    let voted_in = world.vote(ada, &proposal, Ballot::For, "why not").await.unwrap();
    let badge = IBadge::mintCall { to: bo };
    world.admin_call("mint a badge", world.badge, badge).await.unwrap();

    let explain = async |achievement: &str, user: Address, json: bool| {
        let user = user.to_checksum(None);
        let mut arguments = vec!["explain", achievement, user.as_str()];
        arguments.extend(json.then_some("--json"));
        let output = daemon.command(&arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let earned = until("the vote has counted", PATIENCE, async || {
        let answer: Json = serde_json::from_str(&explain("first-vote", ada, true).await).unwrap();
        (!answer["requested"].is_null()).then_some(answer)
    })
    .await;
    assert_eq!(earned["user"], ada.to_checksum(None), "{earned}");
    assert_eq!(earned["missing"], Json::Array(Vec::new()), "{earned}");
    let log = &earned["condition"]["evidence"][0];
    assert_eq!((log["contract"].as_str(), log["name"].as_str()), (Some("dao"), Some("vote_cast")));
    assert_eq!(log["block"], voted_in, "{earned}");
    let text = explain("first-vote", ada, false).await;
    assert!(text.contains(&format!("earned with dao.vote_cast in block {voted_in}")), "{text}");

    let text = until("the badge has counted", PATIENCE, async || {
        let text = explain("badge-holder-voter", bo, false).await;
        text.contains("badge.minted").then_some(text)
    })
    .await;
    assert!(text.contains("not earned yet"), "{text}");
    assert!(text.contains("missing: 1 more dao.vote_cast"), "{text}");
    let text = explain("pillar", bo, false).await;
    assert!(text.contains("missing: achievement first-vote must be unlocked on chain"), "{text}");

    let unknown = daemon.command(&["explain", "first-vot", &bo.to_checksum(None)]).await;
    assert_eq!(unknown.status.code(), Some(1));
    let error = String::from_utf8(unknown.stderr).unwrap();
    assert!(error.contains("known: badge-holder-voter"), "{error}");
}

#[tokio::test]
async fn what_landed_is_compared_with_its_evidence_and_that_with_the_chain() {
    let world = support::world().await;
    let mut daemon = Daemon::of(&world).await;
    daemon.setting.set_chain(&world, support::NEVER_FINAL).unwrap();
    daemon.start().await;
    let (ours, foreign) = (world.anvil.account(4), world.anvil.account(5));
    let prove = async |user: Address, json: bool| {
        let user = user.to_checksum(None);
        let mut arguments = vec!["explain", "contributor", user.as_str(), "--verify-proof"];
        arguments.extend(json.then_some("--json"));
        let output = daemon.command(&arguments).await;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said.into_owned())
    };
    let (code, said) = prove(ours, false).await;
    assert!(code == Some(1) && said.contains("no signer was asked"), "{said}");

    // Somebody else is faster with this one.
    world.appoint(world.admin).await.unwrap();
    let proof_data = keccak256("another reason").into();
    let call = IAchievements::unlockAchievementCall {
        user: foreign,
        id: U256::from(7),
        proofData: proof_data,
    };
    world.admin_call("unlock", world.achievements, call).await.unwrap();
    world.anvil.mine(8).await.unwrap();
    for member in [ours, foreign] {
        support::contribute(&world, member).await;
    }
    until("it is verified", PATIENCE, async || {
        let (code, said) = prove(ours, false).await;
        (code == Some(0)).then_some(said)
    })
    .await;
    let (_, said) = prove(ours, false).await;
    assert!(said.contains("yes  transaction 0x"), "{said}");
    assert!(said.contains("yes  on chain: contributions.contributed in block"), "{said}");
    let (_, said) = prove(ours, true).await;
    let proof: Json = serde_json::from_str(&said).unwrap();
    let proof = &proof["proof"];
    assert_eq!(proof["commitment"], proof["proof_data"], "{proof:#}");
    until("the other one is known", PATIENCE, async || {
        let (code, said) = prove(foreign, false).await;
        (code == Some(1) && said.contains("before a transaction of ours")).then_some(())
    })
    .await;

    // The chain loses what counted, and with it what landed.
    let counted = proof["logs"][0]["log"]["block"].as_u64();
    world.anvil.orphan(counted.expect("a log counted")).await.unwrap();
    until("it is not verified any more", PATIENCE, async || {
        let (code, said) = prove(ours, false).await;
        (code == Some(1)).then_some(said)
    })
    .await;
}
