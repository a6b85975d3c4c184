#![allow(clippy::unwrap_used, clippy::panic)]

use alloy::primitives::{Address, keccak256};

use super::*;
use crate::{actors::testing::Rig, domain::off_chain::chain_id};

const EVENTS: &str = "merit.v1.events.offchain.forum.>";
const WATERMARKS: &str = "merit.v1.watermarks.offchain.forum";

fn fact(id: &str, what: &str) -> Fact {
    Fact {
        id: id.to_owned(),
        event: Name::new("posted").unwrap(),
        fields: [("what".to_owned(), json!(what))].into(),
        by: Address::repeat_byte(1),
        digest: keccak256(format!("{id} {what}")),
    }
}

struct Scene {
    rig: Rig,
    sender: mpsc::Sender<Pending>,
    queue: Queue,
}

impl Scene {
    async fn new() -> Self {
        let (sender, queue) = mpsc::channel(16);
        Self { rig: Rig::start().await, sender, queue: Arc::new(Mutex::new(queue)) }
    }

    fn actor(&self, shared: &Shared) -> FactsActor {
        let hour = Duration::from_secs(3_600);
        FactsActor::new(shared.clone(), Name::new("forum").unwrap(), hour, Arc::clone(&self.queue))
    }

    fn say(&self, fact: Fact) -> oneshot::Receiver<Taken> {
        let (answer, answered) = oneshot::channel();
        assert!(self.sender.try_send(Pending { fact, answer }).is_ok());
        answered
    }

    async fn said(&self) -> Vec<String> {
        let said = self.rig.said(StreamId::Events, EVENTS).await;
        let id = |body: &Json| body["data"]["fields"]["fact_id"].as_str().unwrap().to_owned();
        said.iter().map(id).collect()
    }
}

#[actix::test]
async fn a_fact_is_taken_once_however_often_it_is_sent() {
    let scene = Scene::new().await;
    let mut actor = scene.actor(&scene.rig.shared);
    let (first, twice) = (scene.say(fact("a", "x")), scene.say(fact("a", "x")));
    let (other, differs) = (scene.say(fact("b", "x")), scene.say(fact("a", "y")));
    assert_eq!(actor.step().await, Ok(Next::Again));
    let Taken::New(a) = first.await.unwrap() else { panic!("it is new") };
    assert_eq!(twice.await.unwrap(), Taken::Known(a));
    assert!(matches!(other.await.unwrap(), Taken::New(b) if b != a));
    assert!(differs.await.is_err(), "unknown at once: it is to be sent again");
    let (again, differs) = (scene.say(fact("a", "x")), scene.say(fact("a", "y")));
    actor.step().await.unwrap();
    assert_eq!(
        (again.await.unwrap(), differs.await.unwrap()),
        (Taken::Known(a), Taken::Differs(a))
    );
    assert_eq!(scene.said().await, ["a", "b"]);
    let watermarks = scene.rig.said(StreamId::Events, WATERMARKS).await;
    assert_eq!(watermarks[0]["data"]["chain_id"], chain_id(&Name::new("forum").unwrap()));
    assert_eq!(watermarks[0]["data"]["events"], 2);
    scene.rig.stop().await;
}

/// The next incarnation, with or without the store that the first one had.
#[actix::test]
async fn what_the_store_does_not_know_is_read_back_from_the_stream() {
    let scene = Scene::new().await;
    let told = scene.say(fact("a", "x"));
    scene.actor(&scene.rig.shared).step().await.unwrap();
    let Taken::New(a) = told.await.unwrap() else { panic!("it is new") };
    let prefix = owned_key("facts-forum", b"");
    let store = &scene.rig.shared.store;
    for lost in [false, true] {
        if lost {
            let rows = store.scan_prefix(Table::State, &prefix, None, 10).await.unwrap();
            assert_eq!(rows.len(), 2);
            let mut gone: Vec<Write> =
                rows.into_iter().map(|(key, _)| Write::delete(Table::State, key)).collect();
            gone.push(Write::delete(Table::Positions, "facts-forum"));
            store.commit(gone).await.unwrap();
        }
        let (again, next) = (scene.say(fact("a", "x")), scene.say(fact(&format!("{lost}"), "x")));
        let mut actor = scene.actor(&scene.rig.shared);
        actor.step().await.unwrap();
        assert_eq!(again.await.unwrap(), Taken::Known(a), "{lost}");
        assert!(matches!(next.await.unwrap(), Taken::New(_)), "{lost}");
    }
    assert_eq!(scene.said().await, ["a", "false", "true"]);
    let watermarks = scene.rig.said(StreamId::Events, WATERMARKS).await;
    let numbers: Vec<u64> =
        watermarks.iter().map(|it| it["data"]["through"]["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3], "one chain");
    scene.rig.stop().await;
}

#[actix::test]
async fn of_a_stream_that_was_made_anew_nothing_is_known() {
    let scene = Scene::new().await;
    let told = scene.say(fact("a", "x"));
    scene.actor(&scene.rig.shared).step().await.unwrap();
    told.await.unwrap();
    scene.rig.redeclare(StreamId::Events).await;
    let again = scene.say(fact("a", "x"));
    scene.actor(&scene.rig.shared).step().await.unwrap();
    assert!(matches!(again.await.unwrap(), Taken::New(_)));
    assert_eq!(scene.said().await, ["a"]);
    scene.rig.stop().await;
}

#[actix::test]
async fn a_replaced_actor_takes_nothing() {
    let scene = Scene::new().await;
    let mut old = scene.actor(&scene.rig.shared);
    old.step().await.unwrap();
    let mut new = scene.actor(&scene.rig.other_run("other"));
    new.step().await.unwrap();
    let told = scene.say(fact("a", "x"));
    assert_eq!(old.step().await, Ok(Next::After(RETRY)));
    assert!(told.await.is_err(), "whether it was taken is not known");
    assert!(scene.said().await.is_empty());
    scene.rig.stop().await;
}

#[actix::test]
async fn a_silent_source_says_that_nothing_happened() {
    let scene = Scene::new().await;
    let mut actor = scene.actor(&scene.rig.shared);
    // The first word is due at once.
    actor.step().await.unwrap();
    actor.step().await.unwrap();
    let watermarks = scene.rig.said(StreamId::Events, WATERMARKS).await;
    assert_eq!(watermarks.len(), 1, "the next is due in an hour");
    assert_eq!(watermarks[0]["data"]["events"], 0);
    scene.rig.stop().await;
}
