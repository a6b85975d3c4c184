//! Nonces as the transactions stream tells of them: what a signer that lost
//! its store has signed, and what of it may still be under way.

use std::collections::BTreeMap;

use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::Decodable2718,
    primitives::Bytes,
};

use super::ledger::{Attempt, AttemptKind, Call, Fate, NonceRecord, Purpose};
use crate::domain::{TransactionMessage, TransactionState};

/// The nonces that were signed and are neither confirmed nor displaced,
/// lowest first, with all attempts that the messages tell of. Messages are
/// given in stream order, with the time at which they were stored, in seconds
/// since the Unix epoch.
///
/// Those that were settled in the block `orphanable_from` or later count as open, too: to
/// books that don't know them, a reorg that takes them off the chain would be none of
/// theirs.
#[must_use]
pub fn open_nonces(
    messages: impl IntoIterator<Item = (TransactionMessage, u64)>,
    orphanable_from: Option<u64>,
) -> Vec<NonceRecord> {
    let mut records: BTreeMap<u64, NonceRecord> = BTreeMap::new();
    // Where each was mined last.
    let mut blocks: BTreeMap<u64, u64> = BTreeMap::new();
    for (message, told_at_unix_s) in messages {
        match message.state {
            TransactionState::Signed | TransactionState::Replaced => {
                if let Some(attempt) = attempt(&message, told_at_unix_s) {
                    add(&mut records, &message, attempt);
                }
            }
            TransactionState::Sent => {
                if let Some(record) = records.get_mut(&message.nonce) {
                    record.sent = true;
                }
            }
            TransactionState::Confirmed | TransactionState::Cancelled => {
                let mined = blocks.remove(&message.nonce).or(message.block);
                let since = mined.zip(orphanable_from);
                if since.is_none_or(|(mined, from)| mined < from) {
                    records.remove(&message.nonce);
                }
            }
            // Without a hash of ours: a foreign transaction used the nonce.
            TransactionState::Dropped if message.code.as_deref() == Some(DISPLACED) => {
                records.remove(&message.nonce);
            }
            TransactionState::Mined => {
                blocks.extend(message.block.map(|block| (message.nonce, block)));
            }
            TransactionState::Reverted | TransactionState::Dropped | TransactionState::Reorged => {}
        }
    }
    records.into_values().collect()
}

/// The code of a message that says that a foreign transaction used the nonce.
pub const DISPLACED: &str = "displaced";

fn add(
    records: &mut BTreeMap<u64, NonceRecord>,
    message: &TransactionMessage,
    (attempt, call): (Attempt, Call),
) {
    let items = message.unlocks.clone();
    let purpose = match (message.purpose.as_str(), items.as_slice()) {
        ("unlock", [_, ..]) => Purpose::Unlock { items },
        ("revoke", [item]) => Purpose::Revoke { item: *item },
        _ => Purpose::FillGap,
    };
    let record = records.entry(message.nonce).or_insert_with(|| NonceRecord {
        nonce: message.nonce,
        purpose,
        call,
        attempts: Vec::new(),
        sent: false,
        fate: Fate::Open,
    });
    if record.attempts.iter().all(|known| known.hash != attempt.hash) {
        record.attempts.push(attempt);
    }
}

/// The attempt and the call in a message's signed bytes.
fn attempt(message: &TransactionMessage, signed_at_unix_s: u64) -> Option<(Attempt, Call)> {
    let raw: Bytes = message.raw.clone()?;
    let envelope = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
    if envelope.nonce() != message.nonce {
        return None;
    }
    let to = envelope.to()?;
    let cancels = envelope.input().is_empty() && message.purpose != "fill_gap";
    let call = Call { to, calldata: envelope.input().clone(), gas_limit: envelope.gas_limit() };
    let attempt = Attempt {
        hash: *envelope.tx_hash(),
        kind: if cancels { AttemptKind::Cancel } else { AttemptKind::Effect },
        max_fee_per_gas: envelope.max_fee_per_gas(),
        max_priority_fee_per_gas: envelope
            .max_priority_fee_per_gas()
            .unwrap_or_else(|| envelope.max_fee_per_gas()),
        signed_at_unix_s,
        raw,
    };
    Some((attempt, call))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use alloy::primitives::{Address, B256};
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        domain::{Name, UnlockId},
        signing::{
            fees::Fees,
            keys::{LocalKey, SignerKey},
        },
    };

    fn message(state: TransactionState, nonce: u64, tip: u128) -> TransactionMessage {
        let key = SignerKey::Local(LocalKey::from_hex(&"11".repeat(32)).unwrap());
        let call = Call {
            to: Address::repeat_byte(2),
            calldata: Bytes::from_static(&[1, 2, 3]),
            gas_limit: 90_000,
        };
        let fees = Fees::Dynamic { max_fee_per_gas: 100 + tip, max_priority_fee_per_gas: tip };
        // A key in memory signs at once.
        let signed = key.sign(31_337, nonce, &call, fees).now_or_never().unwrap().unwrap();
        TransactionMessage {
            state,
            signer: Name::new("awards").unwrap(),
            from: key.address(),
            chain_id: 31_337,
            nonce,
            hash: Some(signed.hash),
            purpose: "unlock".into(),
            serial: None,
            unlocks: vec![UnlockId(B256::repeat_byte(9))],
            raw: Some(signed.raw),
            block: None,
            gas_used: None,
            fee_wei: None,
            code: None,
            reason: None,
        }
    }

    #[test]
    fn what_is_neither_confirmed_nor_displaced_is_open_with_all_its_attempts() {
        use TransactionState::{Confirmed, Dropped, Mined, Replaced, Sent, Signed};
        let mut displaced = message(Dropped, 9, 1);
        displaced.code = Some(DISPLACED.into());
        let told = [
            message(Signed, 7, 1),
            message(Sent, 7, 1),
            message(Signed, 8, 1),
            message(Signed, 8, 1),
            message(Replaced, 8, 5),
            message(Mined, 7, 1),
            message(Confirmed, 7, 1),
            message(Dropped, 8, 5),
            message(Signed, 9, 1),
            displaced,
        ];
        let open = open_nonces(told.into_iter().map(|message| (message, 1_000)), None);
        assert_eq!(open.len(), 1);
        let record = &open[0];
        assert_eq!((record.nonce, record.attempts.len(), record.sent), (8, 2, false));
        assert_eq!(record.call.calldata, Bytes::from_static(&[1, 2, 3]));
        assert_eq!(record.attempts[1].max_priority_fee_per_gas, 5);
        assert_eq!(record.purpose.items(), [UnlockId(B256::repeat_byte(9))]);
    }

    #[test]
    fn a_message_whose_bytes_are_of_another_nonce_is_not_believed() {
        let mut forged = message(TransactionState::Signed, 7, 1);
        forged.nonce = 8;
        assert!(open_nonces([(forged, 0)], None).is_empty());
    }

    #[test]
    fn what_was_settled_lately_counts_as_open_to_books_that_do_not_know_it() {
        let at = |block| TransactionMessage {
            block: Some(block),
            ..message(TransactionState::Mined, 1, 1)
        };
        let told = |block| {
            let states = [TransactionState::Signed, TransactionState::Confirmed];
            let [signed, confirmed] = states.map(|state| message(state, 1, 1));
            [signed, at(block), confirmed].map(|message| (message, 0))
        };
        let open = |block, from| open_nonces(told(block), from).len();
        assert_eq!((open(9, None), open(9, Some(10)), open(10, Some(10))), (0, 0, 1));
    }
}
