#![allow(clippy::unwrap_used)]

use alloy::primitives::Address;
use rustix::process::Signal;
use serde_json::{Value as Json, json};

use super::{BenefitsReader, Known, Level, NobodyKnows, key};
use crate::{
    actors::{fold::state_key, testing::Rig},
    domain::{Name, Position},
    governance::{BenefitSource, Benefits, queries},
    store::{Table, Write},
    streams::{kv::Bucket, setup::BENEFITS_BUCKET, testing::wait_until},
};

const OWNER: &str = "governor-dao";

fn benefits(multiplier_bps: u32) -> Benefits {
    let source = BenefitSource { name: Name::new("steady").unwrap(), held: 1 };
    let none = Benefits::none(Position::end_of_block(1, 1, 1));
    Benefits { multiplier_bps, sources: vec![source], ..none }
}

struct Scene {
    rig: Rig,
    dao: Name,
    reader: BenefitsReader,
}

impl Scene {
    /// A governor whose settings have version "2".
    async fn new() -> Self {
        let rig = Rig::start().await;
        let dao = Name::new("dao").unwrap();
        let versions = [(dao.clone(), "2".to_owned())].into();
        let reader = BenefitsReader::new(rig.shared.clone(), versions);
        Self { rig, dao, reader }
    }

    async fn put(&self, holder: Address, version: &str, revision: u64, benefits: &Benefits) {
        let bucket = Bucket::open(&self.rig.shared.connection, BENEFITS_BUCKET).await.unwrap();
        let value = json!({ "version": version, "benefits": benefits });
        let value = value.as_object().unwrap().clone();
        bucket.put_if_newer(&key(&self.dao, holder), revision, value).await.unwrap();
    }

    async fn keep(&self, version: &str, rows: &[(Address, Json)]) {
        let standing = json!({ "version": version, "cursor": null });
        let standing = Write::put(Table::Positions, OWNER, standing.to_string());
        let row = |(holder, value): &(Address, Json)| {
            let key = state_key(OWNER, queries::benefits_key(*holder).as_bytes());
            Write::put(Table::State, key, value.to_string())
        };
        let rows = rows.iter().map(row).chain([standing]).collect();
        self.rig.shared.store.commit(rows).await.unwrap();
    }

    async fn known(
        &self,
        holder: Address,
    ) -> Result<(Level, Option<u32>, Option<u64>), NobodyKnows> {
        let Known { benefits, revision, level } = self.reader.read(&self.dao, holder).await?;
        Ok((level, benefits.map(|it| it.multiplier_bps), revision))
    }
}

#[tokio::test]
async fn the_nearest_that_knows_answers_and_those_of_other_settings_know_nothing() {
    let scene = Scene::new().await;
    let [ada, bo, cy] = [1, 2, 3].map(Address::repeat_byte);
    let nobody = Err(NobodyKnows { governor: scene.dao.clone() });
    assert_eq!(scene.known(ada).await, nobody, "the fold was never there");

    scene.put(ada, "1", 90, &benefits(19_000)).await;
    scene.keep("1", &[(ada, json!(benefits(19_000)))]).await;
    assert_eq!(scene.known(ada).await, nobody, "what benefits meant before");

    scene.keep("2", &[(ada, json!(benefits(12_000))), (bo, json!(benefits(13_000)))]).await;
    assert_eq!(scene.known(ada).await, Ok((Level::Store, Some(12_000), None)));
    assert_eq!(scene.known(cy).await, Ok((Level::Store, None, None)), "it has all of them");

    scene.put(ada, "2", 7, &benefits(12_000)).await;
    scene.put(ada, "2", 5, &benefits(11_000)).await;
    assert_eq!(scene.known(ada).await, Ok((Level::Bucket, Some(12_000), Some(7))), "the newer");
    let none = Benefits::none(Position::end_of_block(1, 2, 2));
    scene.put(cy, "2", 8, &none).await;
    assert_eq!(scene.known(cy).await, Ok((Level::Bucket, None, Some(8))), "who had some");

    assert_eq!(scene.reader.cold().collect::<Vec<_>>(), [&scene.dao]);
    scene.rig.shared.benefits.fill(&scene.dao, 9, [(ada, benefits(12_000))]);
    assert_eq!(scene.known(ada).await, Ok((Level::Process, Some(12_000), Some(9))));
    assert_eq!(scene.known(bo).await, Ok((Level::Process, None, Some(9))));
    assert_eq!(scene.reader.cold().count(), 0);

    let reads = |level: &str| {
        scene.rig.shared.metrics.cache_reads_total.with_label_values(&["benefits", level]).get()
    };
    assert_eq!(["process", "bucket", "store", "nobody"].map(reads), [2, 2, 2, 2]);
    scene.rig.stop().await;
}

#[tokio::test]
async fn without_a_broker_the_store_answers() {
    let scene = Scene::new().await;
    let ada = Address::repeat_byte(1);
    scene.keep("2", &[(ada, json!(benefits(12_000)))]).await;
    scene.rig.server.signal(Signal::KILL);
    wait_until(async || !scene.rig.shared.connection.is_connected()).await;
    assert_eq!(scene.known(ada).await, Ok((Level::Store, Some(12_000), None)));
    scene.rig.stop().await;
}
