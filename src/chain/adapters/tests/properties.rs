//! Any log at all.

use std::sync::LazyLock;

use proptest::{prelude::*, sample::Index};

use super::*;

static ADAPTERS: LazyLock<Vec<Adapter>> = LazyLock::new(|| Kind::STANDARD.map(standard).into());

fn any_word() -> impl Strategy<Value = B256> {
    // Small numbers and addresses reach further into decoders than noise does.
    prop_oneof![
        any::<[u8; 32]>().prop_map(B256::from),
        (0u64..512).prop_map(|n| B256::from(U256::from(n))),
        any::<[u8; 20]>().prop_map(|a| Address::from(a).into_word()),
        Just(B256::ZERO),
        Just(B256::repeat_byte(0xff)),
    ]
}

fn any_data() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec(any_word(), 0..40);
    (words, 0usize..32).prop_map(|(words, cut)| {
        let mut data: Vec<u8> = words.iter().flat_map(|word| word.0).collect();
        data.truncate(data.len().saturating_sub(cut));
        data
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// With a topic 0 of ours it is an event of a promised shape, an error, or
    /// of a foreign standard; with any other it is not ours. It never panics.
    #[test]
    fn any_log_is_an_event_an_error_or_not_ours(
        adapter in any::<Index>(),
        ours in any::<Option<Index>>(),
        topics in prop::collection::vec(any_word(), 0..5),
        data in any_data(),
    ) {
        let adapter = adapter.get(&ADAPTERS);
        let mut topics = topics;
        if let (Some(which), Some(first)) = (ours, topics.first_mut()) {
            *first = *which.get(&adapter.topics0());
        }
        let mut any = log("", &[], vec![]);
        any.inner.data = LogData::new_unchecked(topics.clone(), data.into());
        let known = topics.first().is_some_and(|topic0| adapter.topics0().contains(topic0));

        match adapter.decode(&context(), &any) {
            Ok(Decoded::Event(event)) => {
                prop_assert!(known);
                let schema =
                    adapter.schemas().into_iter().find(|schema| schema.name == event.name);
                for field in schema.unwrap().fields {
                    let read = event.field(&field.name, &field.field_type);
                    prop_assert!(matches!(read, Ok(Some(_))), "{}: {read:?}", field.name);
                }
            }
            Ok(Decoded::NotOurs) => {
                let key = topics.first().map(|topic0| (*topic0, topics.len()));
                prop_assert!(!known || key.is_some_and(|key| adapter.foreign.contains(&key)));
            }
            Err(error) => {
                prop_assert!(known);
                prop_assert_eq!(error.topics, topics.len());
            }
        }
    }
}
