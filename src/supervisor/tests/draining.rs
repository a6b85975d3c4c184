use super::*;

#[tokio::test]
async fn a_drain_goes_prefix_by_prefix_and_the_rest_last() {
    let theatre = Theatre::open();
    for name in ["rest", "sign/a", "listen/a", "listen/b"] {
        theatre.puppet(name);
        theatre.until(Seen::Up(name.into())).await;
    }

    let report = theatre.tree.drain(&["listen/", "sign/"], PATIENCE).await;

    assert_eq!(report.drained, ["listen/a", "listen/b", "sign/a", "rest"]);
    assert_eq!(report.undrained, []);
    assert!(theatre.tree.snapshot().is_empty());
    let mut seen = theatre.seen.lock().unwrap();
    let drained: Vec<String> = std::iter::from_fn(|| seen.try_recv().ok())
        .filter_map(|seen| if let Seen::Drained(name) = seen { Some(name) } else { None })
        .collect();
    assert_eq!(drained[2..], ["sign/a", "rest"]);
    let late = theatre.put_on(&theatre.stage("late"), quick("late"));
    assert!(matches!(late, Err(NotSpawned::Draining { .. })));
}

#[tokio::test]
async fn what_does_not_drain_by_the_deadline_is_named_and_abandoned() {
    let theatre = Theatre::open();
    let (stage, _stubborn) = theatre.puppet("listen/stubborn");
    stage.hangs_in_drain.store(true, Ordering::SeqCst);
    theatre.puppet("listen/willing");
    for name in ["listen/stubborn", "listen/willing"] {
        // Whichever comes first.
        let up = async {
            while theatre.snapshot(name).unwrap().state != ChildState::Running {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, up).await.unwrap();
    }

    let report = theatre.tree.drain(&["listen/"], Duration::from_millis(200)).await;

    assert_eq!(report.drained, ["listen/willing"]);
    let why = "killed: it was not drained by the deadline".to_owned();
    assert_eq!(report.undrained, [Undrained { name: "listen/stubborn".into(), why }]);
    assert!(theatre.tree.snapshot().is_empty());
}

#[tokio::test]
async fn messages_that_wait_are_handled_before_the_drain() {
    let theatre = Theatre::open();
    let (stage, clown) = theatre.puppet("clown");
    told(&clown, Act::Wait).await;
    theatre.until(Seen::Acts("clown".into())).await;
    clown.try_send(Tell(Do(Act::Nothing))).unwrap();
    let removal = tokio::spawn({
        let tree = theatre.tree.clone();
        async move { tree.remove("clown", PATIENCE).await }
    });
    while theatre.snapshot("clown").unwrap().state != ChildState::Draining {
        tokio::task::yield_now().await;
    }

    stage.gate.notify_one();

    assert_eq!(removal.await.unwrap().unwrap().reason, EndReason::Drained);
    theatre.until(Seen::Drained("clown".into())).await;
    theatre.until(Seen::Forgotten("clown".into())).await;
}

#[tokio::test]
async fn an_actor_that_is_down_is_removed_at_once() {
    let theatre = Theatre::open();
    let stage = theatre.stage("clown");
    stage.fails_to_start.store(true, Ordering::SeqCst);
    theatre.put_on(&stage, quick("clown")).unwrap();
    theatre.until(Seen::Failed("clown".into())).await;

    let end = theatre.tree.remove("clown", PATIENCE).await.unwrap();

    assert_eq!(end.reason, EndReason::Drained);
    assert!(theatre.snapshot("clown").is_none());
}

/// An actor that answers requests, with handlers of its own.
struct Plain;

impl actix::Actor for Plain {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Observe> for Plain {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Observation {
        serde_json::json!({ "plain": true }).into()
    }
}

impl Supervise for Plain {}

#[tokio::test]
async fn plain_actors_are_observed_crashed_restarted_and_drained_too() {
    let theatre = Theatre::open();
    let plain = theatre.tree.spawn(quick("plain"), || Plain).unwrap();
    theatre.until(Seen::Up("plain".into())).await;
    let taken = theatre.tree.spawn(quick("plain"), || Plain).err();
    assert_eq!(taken, Some(NotSpawned::NameTaken { name: "plain".into() }));

    theatre.tree.crash("plain").await.unwrap();
    theatre.until(Seen::Restarted("plain".into(), EndReason::Panicked)).await;

    let observation = plain.send(Observe, PATIENCE).await.unwrap();
    assert_eq!(observation.state["plain"], true);
    let end = theatre.tree.remove("plain", PATIENCE).await.unwrap();
    assert_eq!(end.reason, EndReason::Drained);
}
