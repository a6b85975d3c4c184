//! Limits of `eth_getLogs`.

use alloy::primitives::Address;
use meritd::chain::rpc_errors::{ErrorAnswer, RangeCap, RpcErrorClass, classify};
use serde_json::{Value as Json, json};

use super::{Rig, hex};
use crate::support::endpoint::{
    Cap, Refusal, Script,
    wording::{self, ADDRESSES, Asked, DENSITY, STRUCTURAL},
};

fn range(from: u64, to: u64) -> Json {
    json!([{ "fromBlock": hex(from), "toBlock": hex(to) }])
}

#[tokio::test]
async fn caps_refuse_what_is_above_them_and_nothing_else() {
    let rig = Rig::start().await;
    for wording in STRUCTURAL.iter().copied() {
        rig.endpoint.set(Script::honest().cap(Cap::Blocks { most: 3, wording }));
        let error = rig.try_ask("eth_getLogs", range(1, 4)).await.unwrap_err();
        let said = (wording.say)(&Asked { from: 1, to: 4, most: 3 });
        assert_eq!((&error["code"], &error["message"]), (&json!(said.code), &json!(said.message)));
        assert_eq!(rig.logs(2, 4).await.len(), 4);
        // From a tag on it is as many blocks as it comes to.
        let open = json!([{ "fromBlock": "0x7" }]);
        rig.try_ask("eth_getLogs", open).await.unwrap_err();
    }
    for wording in DENSITY.iter().copied() {
        rig.endpoint.set(Script::honest().cap(Cap::Logs { most: 3, wording }));
        rig.try_ask("eth_getLogs", range(1, 4)).await.unwrap_err();
        assert_eq!(rig.logs(3, 6).await.len(), 3);
    }
    for wording in ADDRESSES.iter().copied() {
        rig.endpoint.set(Script::honest().cap(Cap::Addresses { most: 2, wording }));
        let of = |count: u8| {
            let addresses: Vec<_> = (0..count).map(Address::repeat_byte).collect();
            json!([{ "fromBlock": "0x0", "address": addresses }])
        };
        rig.try_ask("eth_getLogs", of(3)).await.unwrap_err();
        rig.ask("eth_getLogs", of(2)).await;
    }
    let refusal = Refusal::new(-32602, "invalid argument 0: blockHash is not supported");
    rig.endpoint.set(Script::honest().cap(Cap::BlockHash(refusal)));
    let hash = rig.block(4).await["hash"].clone();
    rig.try_ask("eth_getLogs", json!([{ "blockHash": hash }])).await.unwrap_err();
    assert_eq!(rig.logs(0, 9).await.len(), 6);
}

/// What the daemon makes of a refusal.
fn class(refusal: &Refusal) -> RpcErrorClass {
    classify(&ErrorAnswer {
        method: "eth_getLogs",
        code: Some(refusal.code),
        http_status: Some(refusal.http_status).filter(|status| *status != 200),
        message: &refusal.message,
        data: refusal.data.as_ref(),
        retry_after: None,
    })
}

#[test]
fn the_daemon_understands_every_wording() {
    let asked = Asked { from: 20_000, to: 39_999, most: 5_000 };
    for (wordings, expected) in [(STRUCTURAL, RangeCap::Structural), (DENSITY, RangeCap::Density)] {
        for wording in wordings {
            let class = class(&(wording.say)(&asked));
            let right =
                matches!(class, RpcErrorClass::RangeTooLarge { cap, .. } if cap == expected);
            assert!(right, "{wording:?}: {class:?}");
        }
    }
    for wording in ADDRESSES {
        let class = class(&(wording.say)(&asked));
        assert!(matches!(class, RpcErrorClass::TooManyAddresses(_)), "{wording:?}: {class:?}");
    }
    for refusal in wording::too_often() {
        let class = class(&refusal);
        assert!(matches!(class, RpcErrorClass::RateLimited { .. }), "{refusal:?}: {class:?}");
    }
    for refusal in wording::behind() {
        assert_eq!(class(&refusal), RpcErrorClass::Lagging, "{refusal:?}");
    }
}
