//! One piece of memory holds many lists.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn room_for_more_places_than_rules_have_is_refused() {
    let mut packed = Packed::default();
    packed.widen(40);
    let bytes = packed.into_lists().to_bytes();
    assert_eq!(bytes[SET_WORDS], 2);
    assert!(Lists::from_bytes(&bytes).is_ok());
    let more = [&bytes[..SET_WORDS], &[0xff, 0xff, 0xff, 0xff, 0x0f], &bytes[SET_WORDS + 1..]];
    assert!(Lists::from_bytes(&more.concat()).is_err());
}

proptest! {
    /// Lists of one piece are as lists that are kept apart; and come back from bytes.
    #[test]
    fn each_list_is_as_if_it_lay_alone(
        steps in prop::collection::vec((0..8_usize, 0..6_u32, prop::option::of(any::<u32>())), 0..60),
    ) {
        let mut packed = Packed::default();
        let mut apart: BTreeMap<(usize, u32), u32> = BTreeMap::new();
        let mut blobs: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (at, key, value) in steps {
            let list = List::ALL[at];
            if list == List::Named {
                packed.widen(key * 20);
                let bytes = value.map(|it| it.to_le_bytes()[..it as usize % 5].to_vec());
                packed.put_blob(List::Streaks, key, bytes.as_deref());
                match bytes {
                    Some(bytes) => blobs.insert(key, bytes),
                    None => blobs.remove(&key),
                };
            }
            match value {
                Some(value) => {
                    let slot = packed.slot(list, key);
                    // Of a name that would be its key.
                    if list != List::Named {
                        slot[list.width() - 1] = value;
                    }
                    apart.insert((at, key), value);
                }
                None => {
                    packed.put(list, key, None);
                    apart.remove(&(at, key));
                }
            }
        }
        let lists = packed.into_lists();
        let packed = Packed::of(&Lists::from_bytes(&lists.to_bytes()).unwrap());
        prop_assert_eq!(packed.words(), &*lists.0);
        for (at, list) in List::ALL.into_iter().enumerate().take(8) {
            let keys: Vec<u32> = apart.range((at, 0)..(at + 1, 0)).map(|(it, _)| it.1).collect();
            let found: Vec<u32> = packed.records(list).map(|it| it[0]).collect();
            prop_assert_eq!(&found, &keys);
            for key in keys.into_iter().filter(|_| list != List::Named) {
                let last = packed.find(list, key).unwrap()[list.width() - 1];
                prop_assert_eq!(last, apart[&(at, key)]);
            }
        }
        for key in 0..6 {
            prop_assert_eq!(packed.blob(List::Streaks, key), blobs.get(&key).cloned());
        }
    }

    #[test]
    fn no_bytes_of_others_are_lists(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(lists) = Lists::from_bytes(&bytes) {
            let packed = Packed::of(&lists);
            for list in List::ALL {
                let _ = (packed.records(list).count(), packed.find(list, 1), packed.blob(list, 1));
            }
        }
    }
}
