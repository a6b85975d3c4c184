//! Which values meters have counted of a user: each once.

use alloy::primitives::{Address, B128};

use super::memory::{Kept, Key, State, packed, place};

/// Lets a meter count a value of a user. Whether it had not counted it before.
pub(super) fn see(state: &mut State, user: Address, value: B128, meter: usize) -> bool {
    let key = Key::Seen(user, value);
    let meter = place(meter);
    let seen = match state.value(&key) {
        Some(Kept::Set(places)) if meter < u64::BITS => {
            let with = places | 1 << meter;
            if with == *places {
                return false;
            }
            Kept::Set(with)
        }
        None => set_of(&[meter]),
        Some(seen) => {
            let mut places: Vec<u32> = match seen {
                Kept::Set(places) => places_in(*places).collect(),
                other => {
                    let bytes = other.bytes();
                    bytes.and_then(|it| postcard::from_bytes(it).ok()).unwrap_or_default()
                }
            };
            if places.contains(&meter) {
                return false;
            }
            places.push(meter);
            set_of(&places)
        }
    };
    state.set(key, Some(seen));
    true
}

/// Meters' places as they are kept.
pub(super) fn set_of(places: &[u32]) -> Kept {
    match places.iter().all(|place| *place < u64::BITS) {
        true => Kept::Set(places.iter().fold(0, |set, place| set | 1 << place)),
        false => Kept::Bytes(packed(&places).into()),
    }
}

/// The places in a set.
pub(super) fn places_in(set: u64) -> impl Iterator<Item = u32> {
    (0..u64::BITS).filter(move |place| set & 1 << place != 0)
}
