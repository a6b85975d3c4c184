//! The head, followed through answers of a scripted chain.

use std::sync::Mutex;

use alloy::primitives::{B256, Bloom};
use serde_json::{Value as Json, json};

use super::{
    responder::{Reply, Responder},
    *,
};
use crate::{
    chain::{
        agreement::Trust,
        headers::{HeadChange, HeaderWindow, tests::Chain},
    },
    domain::BlockRef,
};

/// More than any step here takes.
const LONG: Duration = Duration::from_secs(60);

/// A chain that tests move while an endpoint serves it.
type Served = Arc<Mutex<Chain>>;

fn header(block: &BlockRef) -> Json {
    json!({
        "number": format!("{:#x}", block.number), "hash": block.hash,
        "parentHash": block.parent_hash, "timestamp": format!("{:#x}", block.time),
        "gasLimit": "0x1c9c380", "logsBloom": Bloom::ZERO,
    })
}

async fn serve(length: u64) -> (Served, Responder) {
    let chain = Arc::new(Mutex::new(Chain::new(length)));
    let served = Arc::clone(&chain);
    let responder = Responder::start(move |method, params| {
        let chain = served.lock().unwrap();
        let asked = params[0].as_str().unwrap();
        let found = match method {
            "eth_getBlockByHash" => chain.all.get(&asked.parse::<B256>().unwrap()),
            _ if asked == "latest" => chain.canonical.last(),
            _ => {
                let number = usize::from_str_radix(asked.trim_start_matches("0x"), 16).unwrap();
                chain.canonical.get(number)
            }
        };
        Reply::Result(found.map_or(Json::Null, header))
    })
    .await;
    (chain, responder)
}

async fn reach(follower: &mut Follower, client: &ChainClient) -> Vec<HeadChange> {
    let followed = follower.step(client, LONG).await.unwrap();
    assert_eq!(followed.rest, None);
    followed.changes
}

fn head(follower: &Follower) -> u64 {
    follower.window().head().unwrap().number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_filled_upwards_in_steps_though_the_head_moves_on() {
    let (chain, responder) = serve(10).await;
    let Rig { client, tree: _tree, .. } = rig(&[&responder.url]);
    let mut follower = Follower::new(HeaderWindow::new(1000), None, Trust::default());
    reach(&mut follower, &client).await;
    chain.lock().unwrap().extend(600);
    let mut steps = 0;
    while let Some(rest) = follower.step(&client, Duration::ZERO).await.unwrap().rest {
        assert!(rest.contains("catching up"), "{rest}");
        assert!(follower.is_connected());
        assert!(head(&follower) > 9, "each step comes nearer");
        chain.lock().unwrap().extend(1);
        steps += 1;
    }
    assert!(steps > 10);
    assert_eq!(head(&follower), chain.lock().unwrap().head().number);
    assert_eq!(follower.window().iter().count() as u64, head(&follower) - 8);
    assert!(follower.window().bloom(&follower.window().head().unwrap().hash).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_fork_is_reached_in_steps_though_the_head_moves_on() {
    let (chain, responder) = serve(100).await;
    let Rig { client, tree: _tree, .. } = rig(&[&responder.url]);
    let mut follower = Follower::new(HeaderWindow::new(100), None, Trust::default());
    follower = {
        let mut window = follower.window().clone();
        for block in &chain.lock().unwrap().canonical {
            window.observe(*block).unwrap();
        }
        Follower::new(window, None, Trust::default())
    };
    chain.lock().unwrap().reorg(50, 51);
    let mut changes = Vec::new();
    let mut unconnected = 0;
    loop {
        let followed = follower.step(&client, Duration::ZERO).await.unwrap();
        changes.extend(followed.changes);
        if followed.rest.is_none() {
            break;
        }
        if changes.is_empty() {
            assert!(!follower.is_connected());
            unconnected += 1;
            assert_eq!(head(&follower), 99, "the window stays until the fork is known");
        }
        // Without any time in a step, a near head would stay ahead.
        if changes.is_empty() {
            chain.lock().unwrap().extend(1);
        }
    }
    assert!(unconnected > 40);
    assert!(matches!(&changes[0], HeadChange::Reorged { common, orphaned, .. }
            if common.number == 49 && orphaned.len() == 50));
    assert_eq!(follower.window().head(), Some(&chain.lock().unwrap().head()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_beyond_the_window_begins_it_anew_with_few_calls() {
    let (chain, responder) = serve(10).await;
    let Rig { client, tree: _tree, .. } = rig(&[&responder.url]);
    let mut follower = Follower::new(HeaderWindow::new(8), None, Trust::default());
    reach(&mut follower, &client).await;
    chain.lock().unwrap().extend(5000);
    let changes = reach(&mut follower, &client).await;
    assert!(matches!(changes[..], [HeadChange::Replaced { from: 5009, .. }]), "{changes:?}");
    assert!(responder.methods.lock().unwrap().len() < 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_below_finality_freezes_until_the_branch_is_ours_again() {
    for gap in [3, 500] {
        let (chain, responder) = serve(30).await;
        let Rig { client, tree: _tree, .. } = rig(&[&responder.url]);
        let mut window = HeaderWindow::new(8);
        for block in &chain.lock().unwrap().canonical {
            window.observe(*block).unwrap();
        }
        let mut follower = Follower::new(window, None, Trust::default());
        let ours = chain.lock().unwrap().canonical.clone();
        chain.lock().unwrap().reorg(20, 20 + gap);
        let _ = reach(&mut follower, &client).await;
        let why = follower.frozen().unwrap().clone();
        assert!(why.contains("a reorg below finality"), "{why}");
        assert_eq!(head(&follower), 29);

        // It costs two calls a look, is worded as before, and a restart keeps it.
        let before = responder.methods.lock().unwrap().len();
        let mut follower =
            Follower::new(follower.window().clone(), Some(why.clone()), Trust::default());
        assert_eq!(reach(&mut follower, &client).await, []);
        assert_eq!(follower.frozen(), Some(&why));
        assert!(responder.methods.lock().unwrap().len() <= before + 3);

        chain.lock().unwrap().canonical = ours;
        chain.lock().unwrap().extend(2);
        reach(&mut follower, &client).await;
        assert_eq!(follower.frozen(), None);
        assert_eq!(head(&follower), 31);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ancestor_that_nobody_has_is_named() {
    let (chain, responder) = serve(30).await;
    let Rig { client, tree: _tree, .. } = rig(&[&responder.url]);
    let mut follower = Follower::new(HeaderWindow::new(16), None, Trust::default());
    reach(&mut follower, &client).await;
    let lost = {
        let mut chain = chain.lock().unwrap();
        chain.extend(3);
        let lost = chain.canonical[31];
        chain.all.remove(&lost.hash);
        lost
    };
    let error = follower.step(&client, LONG).await.unwrap_err();
    let endpoint = "local-0".into();
    assert_eq!(error, FollowError::UnknownAncestor { endpoint, number: 31, hash: lost.hash });
    assert_eq!(head(&follower), 29);
    chain.lock().unwrap().all.insert(lost.hash, lost);
    reach(&mut follower, &client).await;
    assert_eq!(head(&follower), 32);
}

mod several;
