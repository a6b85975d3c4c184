//! Below JSON-RPC.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Rig, call};
use crate::support::{
    PATIENCE,
    endpoint::{Batches, Fault, Refusal, Script, When},
    until,
};

/// Long enough to tell an answer from silence.
const SILENCE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn each_fault_is_what_it_says() {
    let rig = Rig::start().await;
    let asked = call(1, "eth_getBlockByNumber", json!(["0x4", false]));
    let with = |fault| rig.endpoint.set(Script::honest().fault(When::always(), fault));

    with(Fault::Delay(80..=120));
    let began = Instant::now();
    assert_eq!(rig.post(&asked).await.unwrap().status(), 200);
    assert!(began.elapsed() >= Duration::from_millis(80));

    with(Fault::Cut);
    let answer = rig.post(&asked).await.unwrap();
    let length = answer.content_length().unwrap();
    assert!(length > 1000);
    answer.bytes().await.unwrap_err();

    with(Fault::Truncated);
    let body = rig.post(&asked).await.unwrap().bytes().await.unwrap();
    assert_eq!(body.len() as u64, length / 2);
    serde_json::from_slice::<Json>(&body).unwrap_err();

    for status in [200, 502, 503] {
        with(Fault::html(status));
        let answer = rig.post(&asked).await.unwrap();
        assert_eq!(answer.status(), status);
        assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    }

    with(Fault::status(500));
    assert_eq!(rig.post(&asked).await.unwrap().status(), 500);
    with(Fault::payment_required());
    assert_eq!(rig.post(&asked).await.unwrap().status(), 402);

    for (wait, told) in [(None, None), (Some(Duration::from_secs(3)), Some("3"))] {
        with(Fault::rate_limited(wait));
        let answer = rig.post(&asked).await.unwrap();
        assert_eq!(answer.status(), 429);
        let header = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header, told);
    }
    rig.endpoint.set(Script::honest());
    rig.ask("eth_blockNumber", json!([])).await;
}

#[tokio::test]
async fn what_hangs_is_answered_when_it_is_released() {
    let rig = Rig::start().await;
    rig.endpoint.set(Script::honest().fault(When::always(), Fault::Hang));
    for release in [true, false] {
        let before = rig.endpoint.counts().http;
        let mut asked = std::pin::pin!(rig.ask("eth_blockNumber", json!([])));
        let arrived = until("it was asked", PATIENCE, async || {
            (rig.endpoint.counts().http > before).then_some(())
        });
        tokio::select! {
            answer = &mut asked => panic!("it answered {answer}"),
            () = arrived => {}
        }
        tokio::time::timeout(SILENCE, &mut asked).await.unwrap_err();
        if release {
            rig.endpoint.release();
        } else {
            rig.endpoint.set(Script::honest());
        }
        assert_eq!(asked.await, "0xa");
    }
}

#[tokio::test]
async fn a_rule_is_for_the_calls_that_it_names() {
    let rig = Rig::start().await;
    let down = || Fault::status(503);
    let rules = When::always().on("eth_chainId").after(2).times(3);
    rig.endpoint.set(Script::honest().fault(rules, down()));
    let mut seen = Vec::new();
    for _ in 0..7 {
        rig.ask("eth_blockNumber", json!([])).await;
        let asked = call(1, "eth_chainId", json!([]));
        seen.push(rig.post(&asked).await.unwrap().status().as_u16());
    }
    assert_eq!(seen, [200, 200, 503, 503, 503, 200, 200]);

    let mut draws = Vec::new();
    for seed in [5, 5, 6] {
        let share = When::always().share(0.5);
        rig.endpoint.set(Script::honest().seed(seed).fault(share, down()));
        let mut seen = Vec::new();
        for _ in 0..24 {
            let answer = rig.post(&call(1, "eth_chainId", json!([]))).await.unwrap();
            seen.push(answer.status() == 503);
        }
        draws.push(seen);
    }
    assert_eq!(draws[0], draws[1], "a seed gives the same again");
    assert_ne!(draws[0], draws[2]);
    assert!(draws.iter().all(|seen| seen.contains(&true) && seen.contains(&false)));
}

#[tokio::test]
async fn a_refusal_has_the_shape_that_is_given() {
    let rig = Rig::start().await;
    let refusal = Refusal::new(-32603, "nonce too low").with_data(json!({ "next": 5 }));
    let script = Script::honest()
        .refusal(When::always().on("eth_chainId").times(1), refusal.clone())
        .refusal(When::always().on("eth_chainId"), refusal.with_status(400));
    rig.endpoint.set(script);
    for status in [200, 400] {
        let answer = rig.post(&call(1, "eth_chainId", json!([]))).await.unwrap();
        assert_eq!(answer.status(), status);
        let error = answer.json::<Json>().await.unwrap()["error"].clone();
        let whole = json!({"code": -32603, "message": "nonce too low", "data": { "next": 5 }});
        assert_eq!(error, whole);
    }
}

#[tokio::test]
async fn batches_are_shuffled_or_refused() {
    let rig = Rig::start().await;
    let batch: Vec<_> =
        (0..9).map(|n| call(n, "eth_getBlockByNumber", json!([n, false]))).collect();
    let refuse = When::always().on("eth_getBlockByNumber").after(2).times(1);
    let script = Script::honest().batches(Batches::Shuffled).seed(3);
    rig.endpoint.set(script.refusal(refuse, Refusal::new(-32005, "rate limit")));
    let mut answers: Vec<Json> = rig.post(&json!(batch)).await.unwrap().json().await.unwrap();
    assert!(!answers.is_sorted_by_key(|answer| answer["id"].as_u64()));
    answers.sort_by_key(|answer| answer["id"].as_u64());
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer["id"], n);
        match n {
            2 => assert_eq!(answer["error"]["message"], "rate limit"),
            _ => assert_eq!(answer["result"]["number"], format!("{n:#x}")),
        }
    }

    let refusal = crate::support::endpoint::wording::no_batches();
    rig.endpoint.set(Script::honest().batches(Batches::Refused { most: 8, refusal }));
    let answer = rig.post(&json!(batch)).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<Json>().await.unwrap()["error"]["code"], -32600);
    let answer = rig.post(&json!(batch[..8])).await.unwrap();
    assert_eq!(answer.json::<Vec<Json>>().await.unwrap().len(), 8);
}

#[tokio::test]
async fn it_may_name_another_chain() {
    let rig = Rig::start().await;
    rig.endpoint.set(Script::honest().chain_id(5));
    assert_eq!(rig.ask("eth_chainId", json!([])).await, "0x5");
    assert_eq!(rig.ask("net_version", json!([])).await, "5");
    assert_eq!(rig.ask("eth_blockNumber", json!([])).await, "0xa");
}
