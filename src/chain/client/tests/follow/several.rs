//! The head of several endpoints that are not of one mind.

use super::*;
use crate::chain::cursor::{ChainView, Confirmations, Cursor, Limits, Plan};

/// Serves `chain`, each block replaced by what `twist` makes of it, given a
/// count of the calls.
async fn serve_twisted(
    chain: &Served,
    twist: impl Fn(&Chain, usize) -> Vec<BlockRef> + Send + Sync + 'static,
) -> Responder {
    let (served, calls) = (Arc::clone(chain), Mutex::new(0));
    Responder::start(move |method, params| {
        let chain = served.lock().unwrap();
        let count = {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            *calls
        };
        let own = twist(&chain, count);
        let asked = params[0].as_str().unwrap();
        let found = match method {
            "eth_getBlockByHash" => {
                let hash = asked.parse::<B256>().unwrap();
                own.iter().find(|block| block.hash == hash).or_else(|| chain.all.get(&hash))
            }
            _ if asked == "latest" => own.last(),
            _ => own.get(usize::from_str_radix(asked.trim_start_matches("0x"), 16).unwrap()),
        };
        Reply::Result(found.map_or(Json::Null, header))
    })
    .await
}

/// The blocks from `from` on are others, of this branch.
fn forked(chain: &Chain, from: u64, branch: u8) -> Vec<BlockRef> {
    let mut own = chain.canonical.clone();
    for number in from as usize..own.len() {
        own[number].hash = alloy::primitives::keccak256([number as u8, branch, 0xf0]);
        own[number].parent_hash = own[number - 1].hash;
    }
    own
}

/// A follower that has seen the chain so far.
fn follower(chain: &Served, trust: Trust) -> Follower {
    let mut window = HeaderWindow::new(64);
    for block in &chain.lock().unwrap().canonical {
        window.observe(*block).unwrap();
    }
    Follower::new(window, None, trust)
}

fn trust() -> Trust {
    Trust { ahead_max: 1, patience: Duration::from_secs(30) }
}

/// A contract that follows what is believed, one block behind.
struct Reader {
    cursor: Cursor,
    read: Vec<BlockRef>,
    retractions: usize,
}

impl Reader {
    fn new() -> Self {
        Self { cursor: Cursor::new(10, Confirmations::Blocks(1)), read: Vec::new(), retractions: 0 }
    }

    fn look(&mut self, follower: &Follower) {
        let Some(latest) = follower.believed().copied() else { return };
        let window = Arc::new(follower.window().clone());
        let view = ChainView {
            latest,
            safe: None,
            finalized: 0,
            window: Arc::clone(&window),
            older: std::collections::BTreeMap::new(),
            frozen: None,
        };
        let limits = Limits { blocks: 10, unfinalized_blocks: 10 };
        for _ in 0..100 {
            match self.cursor.plan(&view, &limits) {
                Plan::Fetch { from, to } => {
                    let step: Vec<_> = (from..=to).map(|n| *window.at(n).unwrap()).collect();
                    self.cursor.links(&step).unwrap();
                    self.cursor.advanced(*step.last().unwrap(), &step, 0);
                    self.read.extend(step);
                }
                Plan::Retract { common, .. } => {
                    self.retractions += 1;
                    self.read.retain(|block| block.number <= common.number);
                    self.cursor.retracted(common);
                }
                _ => return,
            }
        }
        panic!("it finds no end");
    }
}

/// Follows while the chain grows block by block.
async fn grow(
    chain: &Served,
    client: &ChainClient,
    follower: &mut Follower,
    reader: &mut Reader,
    blocks: u64,
) {
    for _ in 0..blocks {
        chain.lock().unwrap().extend(1);
        for _ in 0..2 {
            // As when a block is overdue.
            follower.suspect();
            let followed = follower.step(client, LONG).await.unwrap();
            assert_eq!(followed.waits, None);
            reader.look(follower);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_forked_endpoint_causes_no_retraction() {
    type Twist = fn(&Chain, usize) -> Vec<BlockRef>;
    let cases: [(&str, Twist); 4] = [
        ("a fork of its own", |chain, _| forked(chain, 22, 1)),
        ("two hashes in turn", |chain, calls| match calls % 2 {
            0 => chain.canonical.clone(),
            _ => forked(chain, chain.canonical.len() as u64 - 1, 1),
        }),
        ("another hash each time", |chain, calls| forked(chain, 21, calls as u8)),
        ("a fork that runs ahead", |chain, _| {
            let mut ahead = Chain::new(0);
            ahead.canonical = chain.canonical.clone();
            (0..5).for_each(|_| {
                let number = ahead.canonical.len() as u64;
                ahead.canonical.push(BlockRef { number, ..ahead.head() });
            });
            forked(&ahead, 22.min(chain.canonical.len() as u64), 1)
        }),
    ];
    for (what, twist) in cases {
        let (chain, _) = serve(20).await;
        // The preferred one is the liar.
        let liar = serve_twisted(&chain, twist).await;
        let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
        let other = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
        let Rig { client, tree: _tree, .. } = rig(&[&liar.url, &honest.url, &other.url]);
        let mut follower = follower(&chain, trust());
        let mut reader = Reader::new();
        grow(&chain, &client, &mut follower, &mut reader, 30).await;
        let chain = chain.lock().unwrap();
        assert_eq!(reader.retractions, 0, "{what}");
        assert!(reader.read.iter().all(|b| chain.canonical[b.number as usize] == *b), "{what}");
        let last = reader.read.last().unwrap().number;
        assert!(last + 3 >= chain.head().number, "{what}: it goes on, {last}");
        assert_eq!(follower.frozen(), None);
        // It is asked little while it sits out.
        assert!(liar.methods.lock().unwrap().len() < 240, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proven_fork_of_its_own_sets_an_endpoint_aside() {
    let (chain, _) = serve(20).await;
    let liar = serve_twisted(&chain, |chain, _| forked(chain, 22, 1)).await;
    let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let other = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&honest.url, &liar.url, &other.url]);
    let mut follower = follower(&chain, trust());
    let mut set_aside = false;
    for _ in 0..40 {
        chain.lock().unwrap().extend(1);
        let followed = follower.step(&client, LONG).await.unwrap();
        assert!(followed.outvoted.iter().all(|name| &**name == "local-1"));
        set_aside |= client.status()[1].failures > 0;
        assert_eq!(client.status()[0].failures + client.status()[2].failures, 0);
    }
    assert!(set_aside);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lagging_endpoint_is_no_reorg() {
    let (chain, _) = serve(20).await;
    let lagging = serve_twisted(&chain, |chain, calls| {
        let behind = 1 + calls % 7;
        chain.canonical[..chain.canonical.len() - behind].to_vec()
    })
    .await;
    let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&lagging.url, &honest.url]);
    let mut follower = follower(&chain, trust());
    let mut reader = Reader::new();
    for _ in 0..30 {
        chain.lock().unwrap().extend(1);
        let followed = follower.step(&client, LONG).await.unwrap();
        assert!(
            !followed.changes.iter().any(|change| matches!(change, HeadChange::Reorged { .. })),
            "{followed:?}"
        );
        assert_eq!(followed.outvoted, [] as [Arc<str>; 0]);
        reader.look(&follower);
    }
    assert_eq!(reader.retractions, 0);
    assert!(reader.read.last().unwrap().number > 40);
    let failures: Vec<_> = client.status().iter().map(|status| status.failures).collect();
    assert_eq!(failures, [0, 0], "lag is no lie");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_endpoints_that_disagree_stop_the_chain_and_say_so() {
    let (chain, _) = serve(20).await;
    let apart = Arc::new(Mutex::new(true));
    let first = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let fork = Arc::clone(&apart);
    let second = serve_twisted(&chain, move |chain, _| match *fork.lock().unwrap() {
        true => forked(chain, 23, 1),
        false => chain.canonical.clone(),
    })
    .await;
    let Rig { client, tree: _tree, .. } = rig(&[&first.url, &second.url]);
    let mut follower = follower(&chain, trust());
    let mut reader = Reader::new();
    let mut waits = None;
    for _ in 0..10 {
        chain.lock().unwrap().extend(1);
        waits = follower.step(&client, LONG).await.unwrap().waits;
        reader.look(&follower);
    }
    let waits = waits.unwrap();
    assert!(waits.starts_with("endpoints disagree about block 2"), "{waits}");
    assert!(waits.contains("local-0 says 0x"), "{waits}");
    assert!(waits.contains("local-1 says 0x"), "{waits}");
    let stopped = reader.read.last().unwrap().number;
    assert!(stopped < 23, "{stopped}");
    assert!(head(&follower) <= 25, "nobody is followed");

    *apart.lock().unwrap() = false;
    grow(&chain, &client, &mut follower, &mut reader, 3).await;
    assert_eq!(reader.retractions, 0);
    assert!(reader.read.last().unwrap().number > 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_that_most_endpoints_have_is_followed_whoever_leads() {
    for leader in 0..3 {
        let (chain, _) = serve(20).await;
        let behind = Arc::new(Mutex::new(None::<Vec<BlockRef>>));
        let mut responders = Vec::new();
        for endpoint in 0..3 {
            let behind = Arc::clone(&behind);
            // One of them stays on the orphaned branch.
            let twist = move |chain: &Chain, _| match &*behind.lock().unwrap() {
                Some(old) if endpoint == leader => old.clone(),
                _ => chain.canonical.clone(),
            };
            responders.push(serve_twisted(&chain, twist).await);
        }
        let urls: Vec<&str> = responders.iter().map(|responder| responder.url.as_str()).collect();
        let Rig { client, tree: _tree, .. } = rig(&urls);
        let mut follower = follower(&chain, trust());
        let mut reader = Reader::new();
        grow(&chain, &client, &mut follower, &mut reader, 5).await;
        {
            let mut chain = chain.lock().unwrap();
            *behind.lock().unwrap() = Some(chain.canonical.clone());
            chain.reorg(3, 4);
        }
        grow(&chain, &client, &mut follower, &mut reader, 3).await;
        assert_eq!(follower.window().head(), Some(&chain.lock().unwrap().head()), "{leader}");
        let canonical = chain.lock().unwrap().canonical.clone();
        assert!(reader.read.iter().all(|block| canonical[block.number as usize] == *block));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_beyond_all_others_does_not_move_the_window() {
    let (chain, _) = serve(20).await;
    let liar = serve_twisted(&chain, |chain, calls| {
        let mut own = chain.canonical.clone();
        if calls > 2 {
            own.push(BlockRef { number: 1_000_000_000, ..*own.last().unwrap() });
        }
        own
    })
    .await;
    let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&liar.url, &honest.url]);
    let mut follower = follower(&chain, trust());
    let mut reader = Reader::new();
    for _ in 0..10 {
        chain.lock().unwrap().extend(1);
        // While one of two is ahead of the other, nobody can say who lags.
        let _ = follower.step(&client, LONG).await;
        reader.look(&follower);
    }
    assert!(head(&follower) < 40);
    assert_eq!(reader.retractions, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_away_for_long_is_not_waited_for() {
    let (chain, _) = serve(20).await;
    let first = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let second = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&first.url, &second.url]);
    let short = Trust { patience: Duration::from_millis(300), ..trust() };
    let mut follower = follower(&chain, short);
    let mut reader = Reader::new();
    grow(&chain, &client, &mut follower, &mut reader, 5).await;
    drop(second);
    chain.lock().unwrap().reorg(2, 3);
    let head = chain.lock().unwrap().head();
    let mut waited = false;
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while follower.window().head() != Some(&head) {
        assert!(tokio::time::Instant::now() < until, "{follower:?}");
        if let Ok(followed) = follower.step(&client, LONG).await {
            waited |= followed.waits.is_some_and(|why| why.contains("local-1 does not"));
        }
    }
    assert!(waited, "at first it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_of_one_below_finality_freezes_nothing() {
    let (chain, _) = serve(40).await;
    let liar = serve_twisted(&chain, |chain, _| forked(chain, 5, 1)).await;
    let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let other = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&liar.url, &honest.url, &other.url]);
    let mut follower = follower(&chain, trust());
    follower.window_mut().finalize(30);
    let mut reader = Reader::new();
    grow(&chain, &client, &mut follower, &mut reader, 12).await;
    assert_eq!((follower.frozen(), reader.retractions), (None, 0));

    // A gap wider than the window compares what is final first.
    chain.lock().unwrap().extend(500);
    grow(&chain, &client, &mut follower, &mut reader, 12).await;
    assert_eq!(follower.frozen(), None);
    assert!(follower.window().iter().all(|b| chain.lock().unwrap().canonical.contains(b)));
    assert!(head(&follower) > 550);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn most_endpoints_below_finality_freeze_whoever_leads() {
    let (chain, _) = serve(40).await;
    let first = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let second = serve_twisted(&chain, |chain, _| forked(chain, 25, 1)).await;
    let third = serve_twisted(&chain, |chain, _| forked(chain, 25, 1)).await;
    let Rig { client, tree: _tree, .. } = rig(&[&first.url, &second.url, &third.url]);
    let mut follower = follower(&chain, trust());
    follower.window_mut().finalize(30);
    for _ in 0..3 {
        chain.lock().unwrap().extend(1);
        follower.suspect();
        follower.step(&client, LONG).await.unwrap();
    }
    assert!(follower.frozen().unwrap().contains("a reorg below finality"));
    assert_eq!(follower.frozen_at(), Some(30));
    follower.begin_anew();
    for _ in 0..3 {
        chain.lock().unwrap().extend(1);
        follower.step(&client, LONG).await.unwrap();
    }
    assert_eq!((follower.frozen(), follower.frozen_at()), (None, None));
    let theirs = forked(&chain.lock().unwrap(), 25, 1);
    assert!(follower.window().iter().all(|block| theirs.contains(block)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lead_that_hangs_is_left_within_a_second() {
    let (chain, _) = serve(20).await;
    let hanging = Responder::start(|_, _| Reply::Hang).await;
    let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&hanging.url, &honest.url]);
    let mut follower = follower(&chain, trust());
    chain.lock().unwrap().extend(1);
    let began = tokio::time::Instant::now();
    while head(&follower) < 20 {
        let _ = follower.step(&client, LONG).await;
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(follower.believed().map(|head| head.number), Some(20), "it was never there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_yet_to_sync_is_waited_for_and_then_left_behind() {
    let (chain, _) = serve(500).await;
    let honest = serve_twisted(&chain, |chain, _| chain.canonical.clone()).await;
    let syncing = serve_twisted(&chain, |chain, _| chain.canonical[..100].to_vec()).await;
    let Rig { client, tree: _tree, .. } = rig(&[&honest.url, &syncing.url]);
    let short = Trust { patience: Duration::from_millis(400), ..trust() };
    let mut follower = Follower::new(HeaderWindow::new(64), None, short);
    let began = tokio::time::Instant::now();
    while follower.believed().is_none() {
        let _ = follower.step(&client, LONG).await;
        assert!(began.elapsed() < Duration::from_secs(20), "{follower:?}");
    }
    assert_eq!(follower.believed().map(|head| head.number), Some(499));
}
