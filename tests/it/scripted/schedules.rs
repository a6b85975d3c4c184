//! Faults drawn from a seed.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;

use super::Rig;
use crate::support::endpoint::Faults;

#[test]
fn a_seed_gives_the_same_schedule_again() {
    let shown = |faults: &Faults| format!("{faults:?}");
    assert_eq!(shown(&Faults::drawn(4)), shown(&Faults::drawn(4)));
    assert_eq!(shown(&Faults::drawn_with_lies(4, 9)), shown(&Faults::drawn_with_lies(4, 9)));
    let all: BTreeSet<_> = (0..20).map(|seed| shown(&Faults::drawn(seed))).collect();
    assert_eq!(all.len(), 20);
    let length: Duration = Faults::drawn(4).acts.iter().map(|act| act.lasts).sum();
    assert!(length < Duration::from_secs(20));
}

#[tokio::test]
async fn a_schedule_is_played_to_its_end_and_then_it_is_honest() {
    let rig = Rig::start().await;
    let mut faults = Faults::drawn_with_lies(4, 3);
    for act in &mut faults.acts {
        act.lasts /= 40;
    }
    let asked = async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        loop {
            for (method, params) in [
                ("eth_getBlockByNumber", json!(["latest", false])),
                ("eth_getLogs", json!([{ "fromBlock": "0x0", "toBlock": "0xa" }])),
                ("eth_getBlockReceipts", json!(["0x4"])),
            ] {
                let call = super::call(1, method, params);
                // Whatever comes of it.
                let _ = client.post(rig.endpoint.url()).json(&call).send().await;
            }
        }
    };
    tokio::select! {
        () = rig.endpoint.play(faults) => {}
        () = asked => {}
    }
    assert!(rig.endpoint.counts().http > 10);
    let head = rig.block(10).await;
    assert_eq!(head, rig.node("eth_getBlockByNumber", json!(["latest", false])).await);
    assert_eq!(rig.logs(0, 10).await.len(), 6);
}
