//! Wordings that nobody has seen, put together from what they mean: they must
//! be read as a person would read them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::{prelude::*, sample::select};

use super::*;

fn class(message: &str) -> RpcErrorClass {
    classify(&ErrorAnswer {
        method: "eth_getLogs",
        code: Some(-32000),
        message,
        ..ErrorAnswer::default()
    })
}

/// A number as people write it.
fn written(n: u64, how: u8) -> String {
    match how {
        0 if n.is_multiple_of(1000) => format!("{}k", n / 1000),
        1 if n.is_multiple_of(1000) => format!("{}K", n / 1000),
        2 if n >= 1000 => {
            let (high, low) = (n / 1000, n % 1000);
            if high >= 1000 { n.to_string() } else { format!("{high},{low:03}") }
        }
        _ => n.to_string(),
    }
}

/// Clauses in any order, between fillers, in any case.
fn sentence(clauses: Vec<String>) -> impl Strategy<Value = String> {
    let fillers =
        select(vec!["", "", "eth_getLogs: ", "Error: ", "query failed, ", "invalid params: "]);
    let ends = select(vec!["", ".", " (see the docs)", "; try something else"]);
    let between = select(vec![", ", ". ", "; ", " - ", ": ", " (", "\n"]);
    (Just(clauses).prop_shuffle(), fillers, between, ends, 0u8..3).prop_map(
        |(clauses, filler, between, end, case)| {
            let text = format!("{filler}{}{end}", clauses.join(between));
            match case {
                0 => text.to_uppercase(),
                1 => text,
                _ => {
                    let mut chars = text.chars();
                    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
                }
            }
        },
    )
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(words)
}

/// With the limit that it names.
fn structural() -> impl Strategy<Value = (String, Option<u64>)> {
    let subject = one_of(&[
        "block range",
        "the range",
        "blocks range",
        "number of blocks",
        "range of blocks",
    ]);
    let complaint = one_of(&[
        "is too large",
        "too wide",
        "exceeds the limit",
        "is limited",
        "is larger than the maximum",
        "exceeded",
        "is over the cap",
        "too big",
        "is too long",
    ]);
    let limit = one_of(&[
        "max #",
        "maximum is # blocks",
        "limit: #",
        "up to # blocks",
        "at most # blocks allowed",
        "limited to #",
        "# block limit",
        "the maximum allowed range is #",
        "max_blocks=#",
        "only # blocks",
        "must be within # blocks",
        "no more than # blocks per request",
    ]);
    let asked =
        one_of(&["", "got # blocks", "requested #", "you asked for blocks from 7 to @", "(#)"]);
    let limit = (limit, prop_oneof![2u64..500, (1u64..500).prop_map(|n| n * 1000)], 0u8..6);
    (subject, complaint, prop::option::of(limit), asked, 1u64..100_000, 0u8..6).prop_flat_map(
        |(subject, complaint, limit, asked, more, how)| {
            let mut clauses = vec![format!("{subject} {complaint}")];
            let mut most = None;
            if let Some((words, n, how)) = limit {
                clauses.push(words.replace('#', &written(n, how)));
                most = Some(n);
            }
            if !asked.is_empty() {
                let n = most.unwrap_or(1000) + more;
                let asked = asked.replace('#', &written(n, how));
                clauses.push(asked.replace('@', &(n + 6).to_string()));
            }
            sentence(clauses).prop_map(move |text| (text, most))
        },
    )
}

fn dense() -> impl Strategy<Value = String> {
    let complaint = one_of(&[
        "query returned more than # results",
        "too many logs",
        "response size exceeds the limit",
        "the result set is too large: # rows",
        "log limit of # exceeded",
        "query timed out after #s",
        "execution timeout",
        "more than # events match",
        "context deadline exceeded",
        "max results exceeded (#)",
        "returned # logs, which is over the limit",
        "the response would be larger than # bytes",
        "query took too long",
    ]);
    let advice =
        one_of(&["", "please reduce the block range", "use a smaller range", "narrow your query"]);
    (complaint, advice, 1u64..1_000_000, 0u8..6).prop_flat_map(|(complaint, advice, n, how)| {
        let mut clauses = vec![complaint.replace('#', &written(n, how))];
        if !advice.is_empty() {
            clauses.push(advice.to_owned());
        }
        sentence(clauses)
    })
}

fn rate() -> impl Strategy<Value = String> {
    let complaint = one_of(&[
        "rate limit exceeded",
        "too many requests",
        "limited to # requests per second",
        "request limit reached",
        "# req/sec exceeded",
        "you are being throttled",
        "exceeded your compute units per second",
        "call rate limit of # reached",
        "max # calls/minute",
        "slow down",
        "over the limit of # requests",
    ]);
    // Words of ranges that have nothing to do with it.
    let around = one_of(&[
        "",
        "for block data",
        "while serving this block",
        "on block range queries",
        "for logs of a block",
        "your IP may be blocked",
    ]);
    (complaint, around, 1u64..10_000).prop_flat_map(|(complaint, around, n)| {
        let mut clauses = vec![complaint.replace('#', &n.to_string())];
        if !around.is_empty() {
            clauses.push(around.to_owned());
        }
        sentence(clauses)
    })
}

fn lag() -> impl Strategy<Value = String> {
    let complaint = one_of(&[
        "block # is beyond the latest block",
        "toBlock is greater than the head",
        "block not found",
        "block # does not exist",
        "requested height # is not yet available",
        "the block range is ahead of the chain head",
        "block # not found",
        "unknown block #",
        "block is in the future",
        "toBlock # exceeds latest block",
        "fromBlock is after the tip",
        "requested block number # is higher than current head",
        "header not found",
        "begin block is greater than end block",
        "no such block",
        "could not find block #",
    ]);
    (complaint, 1u64..50_000_000)
        .prop_flat_map(|(complaint, n)| sentence(vec![complaint.replace('#', &n.to_string())]))
}

fn addresses() -> impl Strategy<Value = (String, Option<u64>)> {
    let complaint = one_of(&[
        "too many addresses",
        "the address list exceeds the limit",
        "too many topics in the filter",
        "number of addresses is over the maximum",
        "use fewer contracts",
        "reduce the number of addresses",
    ]);
    let limit = one_of(&["", "max #", "at most # addresses", "limit is #", "the maximum is #"]);
    (complaint, limit, 2u64..5000).prop_flat_map(|(complaint, limit, n)| {
        let named = (!limit.is_empty()).then_some(n);
        let mut clauses = vec![complaint.to_owned()];
        clauses.extend(named.map(|n| limit.replace('#', &n.to_string())));
        sentence(clauses).prop_map(move |text| (text, named))
    })
}

fn unpaid() -> impl Strategy<Value = String> {
    one_of(&[
        "monthly capacity limit exceeded",
        "your monthly quota is used up",
        "payment required",
        "you are out of credits",
        "account suspended",
        "check your billing details",
        "monthly request limit reached, upgrade your plan",
    ])
    .prop_flat_map(|text| sentence(vec![text.to_owned()]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_number_of_blocks_that_is_too_much_is_a_structural_cap((text, most) in structural()) {
        match class(&text) {
            RpcErrorClass::RangeTooLarge { cap: RangeCap::Structural, hint } => {
                // Without a limit, a number that was asked for may be taken
                // for one: it does not shrink, and is not believed.
                prop_assert!(most.is_none() || hint.blocks == most, "{:?} in `{}`", hint, text);
            }
            other => prop_assert!(false, "{:?} for `{}`", other, text),
        }
    }

    #[test]
    fn what_blocks_hold_is_a_density_cap(text in dense()) {
        match class(&text) {
            RpcErrorClass::RangeTooLarge { cap: RangeCap::Density, hint } => {
                prop_assert_eq!(hint.blocks, None, "`{}`", text);
            }
            other => prop_assert!(false, "{:?} for `{}`", other, text),
        }
    }

    #[test]
    fn calls_that_come_too_often_do_not_shrink_a_range(text in rate()) {
        let class = class(&text);
        let is = matches!(class, RpcErrorClass::RateLimited { .. });
        prop_assert!(is, "{:?} for `{}`", class, text);
    }

    #[test]
    fn a_block_that_is_not_there_yet_does_not_shrink_a_range(text in lag()) {
        prop_assert_eq!(class(&text), RpcErrorClass::Lagging, "`{}`", text);
    }

    #[test]
    fn too_many_addresses_do_not_shrink_a_range((text, most) in addresses()) {
        match class(&text) {
            RpcErrorClass::TooManyAddresses(hint) => {
                prop_assert!(most.is_none() || hint.most == most, "{:?} in `{}`", hint, text);
            }
            other => prop_assert!(false, "{:?} for `{}`", other, text),
        }
    }

    #[test]
    fn an_unpaid_bill_is_nothing_else(text in unpaid()) {
        prop_assert_eq!(class(&text), RpcErrorClass::Unpaid, "`{}`", text);
    }

    /// Any words at all in any order, with numbers: never a panic, and nothing
    /// but a call for logs is ever told to ask for fewer blocks.
    #[test]
    fn words_in_any_order_break_nothing(
        words in prop::collection::vec(prop_oneof![
            select(vec!["block", "range", "limit", "max", "logs", "exceeded", "per", "second", "to",
                "[", "]", ",", "-", "(", "0x", "try again in", "address", "latest", "<html>", "<"])
                .prop_map(str::to_owned),
            any::<u64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| format!("0x{n:x}")),
        ], 0..12),
        glue in select(vec![" ", "", "-", ","]),
    ) {
        let text = words.join(glue);
        class(&text);
        let answer = ErrorAnswer { method: "eth_call", message: &text, ..Default::default() };
        let is_range = matches!(classify(&answer), RpcErrorClass::RangeTooLarge { .. });
        prop_assert!(!is_range);
    }

    #[test]
    fn arbitrary_bytes_break_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..600), status in any::<u16>(),
        data in any::<Option<i64>>(),
    ) {
        let message = String::from_utf8_lossy(&bytes);
        let data = data.map(|n| serde_json::json!({ "from": n, "to": &*message, "xY": [n] }));
        let _ = classify(&ErrorAnswer {
            method: "eth_getLogs", code: None, http_status: Some(status), message: &message,
            data: data.as_ref(), retry_after: None,
        });
    }
}
