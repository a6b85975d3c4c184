use super::*;

#[tokio::test]
async fn a_hung_step_is_ended_by_its_limit() {
    let mut theatre = Theatre::open();
    theatre.limits.step = Duration::from_millis(50);
    let (_, clown) = theatre.puppet("clown");
    let (_, sibling) = theatre.puppet("sibling");
    told(&clown, Act::Hang).await;

    theatre.until(Seen::Restarted("clown".into(), EndReason::Frozen)).await;

    assert_eq!(told(&clown, Act::Nothing).await.life, 2);
    assert_eq!(told(&sibling, Act::Nothing).await.life, 1);
    let last = theatre.snapshot("clown").unwrap().last_end.unwrap();
    assert_eq!(last.detail, "a step took longer than 50 ms");
}

#[tokio::test]
async fn a_step_within_its_limit_is_not_frozen_however_often_the_heart_beats() {
    let theatre = Theatre::open();
    let stage = theatre.stage("clown");
    let mut spec = quick("clown");
    spec.heartbeat.freeze_after = Duration::from_millis(200);
    let clown = theatre.put_on(&stage, spec).unwrap();
    told(&clown, Act::Wait).await;
    theatre.until(Seen::Acts("clown".into())).await;

    // Longer than the heart may stand still; the point is that time passes.
    tokio::time::sleep(Duration::from_millis(400)).await;
    stage.gate.notify_one();

    assert_eq!(told(&clown, Act::Nothing).await.life, 1);
}

#[tokio::test]
async fn a_blocked_thread_is_noticed_and_its_actors_come_back_on_another() {
    let theatre = Theatre::open();
    let spec = |name, class| ChildSpec {
        class,
        heartbeat: Heartbeat {
            every: Duration::from_millis(20),
            freeze_after: Duration::from_millis(300),
        },
        ..quick(name)
    };
    let spawn = |name, class| theatre.put_on(&theatre.stage(name), spec(name, class)).unwrap();
    let clown = spawn("clown", ArbiterClass::Listen);
    let sibling = spawn("sibling", ArbiterClass::Listen);
    let signer = spawn("signer", ArbiterClass::Sign);
    let calm = told(&signer, Act::Nothing).await;
    let beside = told(&sibling, Act::Nothing).await;
    let (unblock, blocked) = std::sync::mpsc::channel();
    let before = told(&clown, Act::Block(blocked)).await;
    assert_eq!(before.thread, beside.thread);

    theatre.until(Seen::Restarted("clown".into(), EndReason::Frozen)).await;

    let after = told(&clown, Act::Nothing).await;
    assert_ne!(after.thread, before.thread);
    assert_eq!(after.life, 2);
    let restarts = theatre.snapshot("clown").unwrap().restarts;
    assert_eq!(restarts, 1, "nothing was begun on the blocked thread again");
    let mut moved = told_when_alive(&sibling).await;
    while moved.life == 1 {
        moved = told_when_alive(&sibling).await;
    }
    assert_eq!(moved.thread, after.thread, "the sibling moved too");
    let signed = told(&signer, Act::Nothing).await;
    assert_eq!((signed.life, signed.thread), (1, calm.thread), "another class is untouched");
    drop(unblock);
}

/// The incarnation on the blocked thread may take the message to its end.
async fn told_when_alive(puppet: &PuppetRef) -> Answer {
    loop {
        match puppet.tell(Do(Act::Nothing), PATIENCE).await {
            Ok(answer) => return answer,
            Err(Unreachable::Died { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_dedicated_actor_has_its_thread_for_itself() {
    let theatre = Theatre::open();
    let spawn = |name| {
        let spec = ChildSpec { class: ArbiterClass::Dedicated, ..quick(name) };
        theatre.put_on(&theatre.stage(name), spec).unwrap()
    };
    let first = told(&spawn("first"), Act::Nothing).await;
    let second = told(&spawn("second"), Act::Nothing).await;
    assert_ne!(first.thread, second.thread);
}
