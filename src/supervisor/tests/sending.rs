use super::*;

#[tokio::test]
async fn a_sender_waits_while_the_actor_backs_off() {
    let theatre = Theatre::open();
    let stage = theatre.stage("clown");
    let mut spec = quick("clown");
    spec.restart.backoff_min = Duration::from_millis(400);
    spec.restart.backoff_max = Duration::from_millis(400);
    let clown = theatre.put_on(&stage, spec).unwrap();
    told(&clown, Act::Panic).await;
    theatre.until(Seen::Restarted("clown".into(), EndReason::Panicked)).await;

    assert_eq!(clown.try_send(Nudge), Err(NotTaken::Down { actor: "clown".into() }));
    assert_eq!(told(&clown, Act::Nothing).await.life, 2);
}

#[tokio::test]
async fn a_message_whose_actor_dies_over_it_is_answered_with_that() {
    let theatre = Theatre::open();
    let (_, clown) = theatre.puppet("clown");
    told(&clown, Act::Wait).await;
    theatre.until(Seen::Acts("clown".into())).await;
    let waiting = tokio::spawn({
        let clown = clown.clone();
        async move { clown.tell(Do(Act::Nothing), PATIENCE).await }
    });
    tokio::task::yield_now().await;

    theatre.tree.remove("clown", Duration::ZERO).await.unwrap();

    let answer = waiting.await.unwrap();
    assert_eq!(answer, Err(Unreachable::Died { actor: "clown".into() }));
}

#[tokio::test]
async fn nudges_and_messages_make_an_idle_actor_step() {
    let theatre = Theatre::open();
    let (_, clown) = theatre.puppet("clown");
    for steps in 1..5 {
        stepped(&theatre, steps).await;
        clown.nudge();
    }
    told(&clown, Act::Nothing).await;
    theatre.until(Seen::Acts("clown".into())).await;
    assert_eq!(theatre.snapshot("clown").unwrap().observed["life"], 1);
}

async fn stepped(theatre: &Theatre, steps: u64) {
    let stepped = async {
        while theatre.snapshot("clown").and_then(|clown| clown.pace).map(|pace| pace.steps)
            < Some(steps)
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, stepped).await.unwrap();
}

#[tokio::test]
async fn a_pause_ends_early_when_nudged_and_leaves_no_step_behind() {
    let theatre = Theatre::open();
    let (_, clown) = theatre.puppet("clown");
    stepped(&theatre, 1).await;
    told(&clown, Act::Pause(Duration::from_millis(300))).await;
    stepped(&theatre, 2).await;
    let nudged = std::time::Instant::now();
    told(&clown, Act::Pause(Duration::from_millis(700))).await;

    stepped(&theatre, 4).await;

    assert!(nudged.elapsed() >= Duration::from_millis(690), "the first pause was forgotten");
}

/// A message that can be counted while it exists.
#[derive(Message)]
#[rtype(result = "()")]
struct Counted(#[allow(dead_code)] Arc<()>);

impl Receives<Counted> for Puppet {
    fn receive(&mut self, _: Counted) {}
}

#[tokio::test]
async fn the_mailbox_of_a_busy_actor_stays_within_its_bound_and_opens_again() {
    const BOUND: usize = <Stepper<Puppet> as Supervise>::MAILBOX;
    let theatre = Theatre::open();
    let (stage, clown) = theatre.puppet("clown");
    told(&clown, Act::Wait).await;
    theatre.until(Seen::Acts("clown".into())).await;
    let counted = Arc::new(());
    let waiting = || Arc::strong_count(&counted) - 1;

    let requests = (0..10 * BOUND).map(|_| {
        let (clown, message) = (clown.clone(), Counted(Arc::clone(&counted)));
        async move { clown.tell(message, Duration::from_millis(100)).await }
    });
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Unreachable::TimedOut { .. }))));
    assert_eq!(waiting(), BOUND, "requests whose senders left still count");

    let taken = (0..10 * BOUND)
        .filter(|_| clown.clone().try_send(Tell(Counted(Arc::clone(&counted)))).is_ok())
        .count();
    assert!(taken <= BOUND + 1, "{taken} messages were taken");

    stage.gate.notify_one();
    for _ in 0..3 * BOUND {
        told(&clown, Act::Nothing).await;
    }
    assert_eq!(waiting(), 0);
}

#[tokio::test]
async fn who_waits_for_a_place_when_the_actor_dies_is_served_by_the_next() {
    const BOUND: usize = <Stepper<Puppet> as Supervise>::MAILBOX;
    let mut theatre = Theatre::open();
    theatre.limits.step = Duration::from_millis(300);
    let (_, clown) = theatre.puppet("clown");
    told(&clown, Act::Hang).await;
    theatre.until(Seen::Acts("clown".into())).await;

    let requests = (0..2 * BOUND).map(|_| clown.tell(Do(Act::Nothing), PATIENCE));
    let answers = futures::future::join_all(requests).await;

    let died = answers.iter().filter(|answer| matches!(answer, Err(Unreachable::Died { .. })));
    assert_eq!(died.count(), BOUND, "those whose message was in the mailbox");
    let served = answers.iter().flatten().filter(|answer| answer.life == 2);
    assert_eq!(served.count(), BOUND);
}
