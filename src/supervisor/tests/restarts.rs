use super::*;

#[tokio::test]
async fn a_panic_restarts_that_actor_alone_with_fresh_state() {
    let theatre = Theatre::open();
    let (_, clown) = theatre.puppet("clown");
    let (_, sibling) = theatre.puppet("sibling");
    let before = told(&sibling, Act::Nothing).await;
    let fallen = told(&clown, Act::Panic).await;
    assert_eq!(fallen.thread, before.thread, "they share an arbiter");

    theatre.until(Seen::Restarted("clown".into(), EndReason::Panicked)).await;

    let risen = told(&clown, Act::Nothing).await;
    assert_eq!((risen.life, risen.told), (2, 1));
    let after = told(&sibling, Act::Nothing).await;
    assert_eq!((after.life, after.told, after.thread), (1, 2, before.thread));
    let clown = theatre.snapshot("clown").unwrap();
    let last = clown.last_end.unwrap();
    assert_eq!((clown.restarts, last.reason), (1, EndReason::Panicked));
    assert_eq!(last.detail, "clown fell");
}

#[tokio::test]
async fn a_failed_step_restarts_the_actor_and_its_causes_are_kept() {
    let theatre = Theatre::open();
    let (_, clown) = theatre.puppet("clown");
    told(&clown, Act::Fail).await;

    theatre.until(Seen::Restarted("clown".into(), EndReason::Failed)).await;

    assert_eq!(told(&clown, Act::Nothing).await.life, 2);
    let last = theatre.snapshot("clown").unwrap().last_end.unwrap();
    assert_eq!(last.detail, "a string tore: it was old");
}

#[tokio::test]
async fn a_start_that_keeps_failing_is_given_up_while_others_run_until_a_person_retries() {
    let theatre = Theatre::open();
    let (_, sibling) = theatre.puppet("sibling");
    let stage = theatre.stage("clown");
    stage.fails_to_start.store(true, Ordering::SeqCst);
    let clown = theatre.put_on(&stage, quick("clown")).unwrap();

    theatre.until(Seen::Failed("clown".into())).await;

    assert_eq!(stage.lives.load(Ordering::SeqCst), 4, "three restarts");
    assert_eq!(theatre.snapshot("clown").unwrap().state, ChildState::Failed);
    assert_eq!(told(&sibling, Act::Nothing).await.life, 1);
    let down = clown.tell(Do(Act::Nothing), Duration::from_millis(20)).await;
    assert_eq!(down, Err(Unreachable::Down { actor: "clown".into() }));

    stage.fails_to_start.store(false, Ordering::SeqCst);
    theatre.tree.retry_failed("clown").await.unwrap();
    assert_eq!(told(&clown, Act::Nothing).await.life, 5);
    assert!(matches!(
        theatre.tree.retry_failed("clown").await,
        Err(TreeError::NotFailed { state: ChildState::Running, .. })
    ));
}

#[tokio::test]
async fn a_factory_that_panics_is_a_failed_start() {
    let theatre = Theatre::open();
    let stage = theatre.stage("clown");
    stage.factory_panics.store(true, Ordering::SeqCst);
    theatre.put_on(&stage, quick("clown")).unwrap();

    theatre.until(Seen::Failed("clown".into())).await;

    let last = theatre.snapshot("clown").unwrap().last_end.unwrap();
    assert_eq!((last.reason, last.detail.as_str()), (EndReason::Panicked, "no strings"));
}

#[tokio::test]
async fn an_injected_crash_is_a_panic_like_any_other() {
    let theatre = Theatre::open();
    let (_, clown) = theatre.puppet("clown");
    theatre.until(Seen::Up("clown".into())).await;

    theatre.tree.crash("clown").await.unwrap();

    theatre.until(Seen::Down("clown".into())).await;
    theatre.until(Seen::Restarted("clown".into(), EndReason::Panicked)).await;
    theatre.until(Seen::Up("clown".into())).await;
    assert_eq!(told(&clown, Act::Nothing).await.life, 2);
    let unknown = theatre.tree.crash("nobody").await;
    assert_eq!(unknown, Err(TreeError::Unknown { name: "nobody".into() }));
}

#[tokio::test]
async fn a_finished_actor_is_not_restarted_but_forgotten() {
    let theatre = Theatre::open();
    let (stage, clown) = theatre.puppet("clown");
    told(&clown, Act::Finish).await;

    theatre.until(Seen::Forgotten("clown".into())).await;

    assert_eq!(stage.lives.load(Ordering::SeqCst), 1);
    assert!(theatre.snapshot("clown").is_none());
    assert!(theatre.put_on(&stage, quick("clown")).is_ok(), "its name is free again");
}
