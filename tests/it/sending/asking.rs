//! Who has what is asked before a batch is sent, in as few calls as may be.

use alloy::{primitives::Address, sol_types::SolCall as _};
use futures::future::join_all;
use meritd::cli::demo::contracts::IAchievements;

use super::Scene;
use crate::support::{
    contribute,
    endpoint::{CREATION, Refusal, Script, When},
};

/// Members who contribute in one block or two, and their unlocks.
async fn many_earn(scene: &Scene) {
    let members: Vec<Address> = (4..8).map(|number| scene.member(number)).collect();
    join_all(members.iter().map(|member| contribute(&scene.world, *member))).await;
    for member in members {
        scene.lands(member).await;
    }
    scene.is_right().await;
}

/// How many calls asked many questions, and how many one.
fn asked(scene: &Scene) -> (usize, usize) {
    let requests = scene.endpoint.requests();
    let calls = || requests.iter().filter(|request| request.method == "eth_call");
    let input = |request: &crate::support::endpoint::Request| {
        request.params[0]["input"].as_str().unwrap_or_default().to_owned()
    };
    let has = alloy::hex::encode_prefixed(IAchievements::hasAchievementCall::SELECTOR);
    (
        calls().filter(|request| request.params[0]["to"].is_null()).count(),
        calls().filter(|request| input(request).starts_with(&has)).count(),
    )
}

#[tokio::test]
async fn a_batch_is_asked_for_in_one_call() {
    let scene = Scene::start("bump_after_s = 2").await;
    many_earn(&scene).await;
    let (at_once, singly) = asked(&scene);
    assert!(at_once > 0 && singly < 4, "{at_once} and {singly}");
}

#[tokio::test]
async fn where_no_node_runs_creation_code_each_is_asked_by_itself() {
    let scene = Scene::start("bump_after_s = 2").await;
    let refusal = Refusal::new(-32602, "invalid argument 0: `to` is missing");
    scene.endpoint.set(Script::honest().refusal(When::always().on(CREATION), refusal));
    many_earn(&scene).await;
    let (at_once, singly) = asked(&scene);
    assert!(at_once <= 2 && singly >= 4, "{at_once} and {singly}");
}
