#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

const NO_HINT: RangeHint = RangeHint { blocks: None, range: None };

fn logs(code: i64, status: u16, message: &str) -> RpcErrorClass {
    classify(&ErrorAnswer {
        method: "eth_getLogs",
        code: Some(code),
        http_status: Some(status),
        message,
        ..ErrorAnswer::default()
    })
}

fn blocks(n: u64) -> RangeHint {
    RangeHint { blocks: Some(n), range: None }
}

#[test]
fn structural_caps_of_providers_are_recognised_with_their_number() {
    #[rustfmt::skip]
    let seen: &[(&str, i64, u16, &str, RangeHint)] = &[
        ("Alchemy free", -32600, 400, "You can make eth_getLogs requests with up to a 500 block range. Based on your parameters, this block range should work: [0x1a30dfd, 0x1a30ff0]",
            RangeHint { blocks: Some(500), range: Some((0x1a3_0dfd, 0x1a3_0ff0)) }),
        ("QuickNode", -32614, 413, "eth_getLogs is limited to a 10,000 range", blocks(10_000)),
        ("Ankr", -32600, 200, "block range is too wide", NO_HINT),
        ("Ankr TAC", -32000, 200, "maximum [from, to] blocks distance: 10000", blocks(10_000)),
        ("reth", -32602, 200, "query exceeds max block range 100000", blocks(100_000)),
        ("merkle.io", -32603, 200, "eth_getLogs range is too large, max is 1k blocks", blocks(1000)),
        ("dRPC free", 35, 200, "ranges over 10000 blocks are not supported on freetier", blocks(10_000)),
        ("BlockPI", -32602, 200, "eth_getLogs is limited to 1024 block range. Please check the parameter", blocks(1024)),
        ("1RPC", -32000, 200, "eth_getLogs is limited to a 1000 blocks range", blocks(1000)),
        ("Morph", -32000, 200, "block range is larger than max block range, block range = 5120, max block range = 5000", blocks(5000)),
        ("BSC", -32000, 200, "exceed maximum block range: 5000", blocks(5000)),
        ("Cloudflare", -32000, 200, "Max range: 800", blocks(800)),
        ("Base", -32000, 200, "block range too large", NO_HINT),
        ("Optimism", -32000, 200, "Block range is too large", NO_HINT),
        ("Avalanche", -32000, 200, "requested too many blocks from 7 to 5000, maximum is set to 2048", blocks(2048)),
        ("Coinbase", -32000, 200, "please limit the query to at most 1000 blocks", blocks(1000)),
        ("Sei", -32000, 200, "block range too large (2000), maximum allowed is 1000 blocks", blocks(1000)),
        ("Moonriver", -32000, 200, "block range is too wide (maximum 1024)", blocks(1024)),
        ("Aurora", -32000, 200, "up to a 2000 block range", blocks(2000)),
        ("Harmony", -32000, 200, "query must be smaller than size 1024", blocks(1024)),
        ("nobody yet", -32000, 200, "this node serves 64 blocks at most: range too long", blocks(64)),
    ];
    for (who, code, status, message, hint) in seen {
        assert_eq!(
            logs(*code, *status, message),
            RpcErrorClass::RangeTooLarge { cap: RangeCap::Structural, hint: *hint },
            "{who}"
        );
    }
}

#[test]
fn density_caps_are_recognised_and_their_count_is_no_number_of_blocks() {
    let range = |from, to| RangeHint { blocks: None, range: Some((from, to)) };
    #[rustfmt::skip]
    let seen: &[(&str, i64, u16, &str, RangeHint)] = &[
        ("Infura", -32005, 200, "query returned more than 10000 results. Try with this block range [0xBDE5F8, 0x102DBCC].", range(0xbd_e5f8, 0x102_dbcc)),
        ("Linea", -32005, 200, "query returned more than 10000 results", NO_HINT),
        ("Linea", -32005, 200, "query timeout exceeded", NO_HINT),
        ("Alchemy", -32602, 200, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [0x0, 0xd043b8]",
            RangeHint { blocks: Some(2000), range: Some((0, 0xd0_43b8)) }),
        ("Alchemy 2020", 0, 200, "Log response size exceeded. Please reduce query block range.", NO_HINT),
        ("LlamaRPC", -32602, 200, "query exceeds max results 20000, retry with the range 23879634-23879696", range(23_879_634, 23_879_696)),
        ("jsonrpsee", -32008, 200, "Response is too big", NO_HINT),
        ("Arbitrum", -32000, 200, "logs matched by query exceeds limit of 10000", NO_HINT),
        ("Base proxyd", -32011, 503, "no backend is currently healthy to serve traffic", NO_HINT),
        ("Optimism", -32000, 200, "backend response too large", NO_HINT),
    ];
    for (who, code, status, message, hint) in seen {
        assert_eq!(
            logs(*code, *status, message),
            RpcErrorClass::RangeTooLarge { cap: RangeCap::Density, hint: *hint },
            "{who}"
        );
    }
    let told = json!({"maxBlockRange": 2000});
    assert_eq!(
        classify(&ErrorAnswer {
            method: "eth_getLogs",
            message: "invalid request",
            data: Some(&told),
            ..ErrorAnswer::default()
        }),
        RpcErrorClass::RangeTooLarge { cap: RangeCap::Structural, hint: blocks(2000) },
        "data speaks, too"
    );
    let data = json!({"from": "0xBDE5F8", "limit": 10000, "to": "0x102DBCC"});
    assert_eq!(
        classify(&ErrorAnswer {
            method: "eth_getLogs",
            code: Some(-32005),
            message: "limit",
            data: Some(&data),
            ..ErrorAnswer::default()
        }),
        RpcErrorClass::RangeTooLarge { cap: RangeCap::Density, hint: range(0xbd_e5f8, 0x102_dbcc) }
    );
}

#[test]
fn look_alikes_do_not_shrink_the_range() {
    use RpcErrorClass::{Lagging, PlanRefused, RateLimited, Transient, Unpaid};
    let addresses = |part, most| RpcErrorClass::TooManyAddresses(FilterHint { part, most });
    let limited = || RateLimited { retry_after: None };
    let seen = [
        (0, 429, "", limited()),
        (
            -32005,
            200,
            "rate limited, try again in 4ms",
            RateLimited { retry_after: Some(Duration::from_millis(4)) },
        ),
        (-32005, 200, "daily request count exceeded, request rate limited", limited()),
        (-32007, 200, "100/second request limit reached - reduce calls per second", limited()),
        (-32012, 200, "credits limited to 6000/sec", limited()),
        (-32016, 200, "rate limit", limited()),
        (-32055, 200, "", limited()),
        (-32001, 200, "Unable to complete request at this time", limited()),
        (0, 503, "Unable to complete request at this time", limited()),
        (0, 402, "", Unpaid),
        (429, 429, "Monthly capacity limit exceeded", Unpaid),
        (-32000, 200, "requested to block is after last accepted block", Lagging),
        (-32602, 200, "block range extends beyond current head block", Lagging),
        (-32602, 200, "invalid block range", Lagging),
        (-32000, 200, "invalid block range params", Lagging),
        (-32000, 200, "header not found", Lagging),
        (-39001, 200, "Unknown block", Lagging),
        (-32000, 200, "cannot query unfinalized data", Lagging),
        (-32000, 200, "height is not available (requested height: 9)", Lagging),
        (-32000, 200, "hash 0x12 is not currently canonical", Lagging),
        (
            -32000,
            200,
            "Please specify less number of address",
            addresses(FilterPart::Addresses, None),
        ),
        (
            -32602,
            200,
            "exceed max addresses or topics per search position",
            addresses(FilterPart::Either, None),
        ),
        (
            -32000,
            200,
            "This query contains 9000 filters. The current limit is 5000.",
            addresses(FilterPart::Either, Some(5000)),
        ),
        (-32600, 200, "trace_filter is not available on the Free tier", PlanRefused),
        (-32600, 401, "Must be authenticated!", PlanRefused),
        (0, 502, "<html>Bad Gateway</html>", Transient),
        (-32603, 200, "Internal error", Transient),
    ];
    for (code, status, message, class) in seen {
        assert_eq!(logs(code, status, message), class, "{code} {status} {message}");
    }
}

#[test]
fn what_stands_in_no_table_is_read_as_a_person_would() {
    use RpcErrorClass::{Lagging, PlanRefused, RangeTooLarge, Transient, Unpaid};
    let structural = |hint| RangeTooLarge { cap: RangeCap::Structural, hint };
    let dense = |hint| RangeTooLarge { cap: RangeCap::Density, hint };
    let limited = || RpcErrorClass::RateLimited { retry_after: None };
    let wait = |ms| RpcErrorClass::RateLimited { retry_after: Some(Duration::from_millis(ms)) };
    let addresses = |part, most| RpcErrorClass::TooManyAddresses(FilterHint { part, most });
    let page = "<html><style>p { display: block; max-width: 9px }</style><p>this block, the limit";
    #[rustfmt::skip]
    let seen = [
        // Numbers: which of them is the limit.
        (0, 200, "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range", structural(blocks(10_000))),
        (0, 200, "max 1000 blocks, got 5000", structural(blocks(1000))),
        (0, 200, "too many blocks requested: 5000 (limit 1000)", structural(blocks(1000))),
        (0, 200, "block range 10001 exceeds limit of 10000", structural(blocks(10_000))),
        (0, 200, "maximum is 2048, requested blocks from 7 to 5000", structural(blocks(2048))),
        (0, 200, "a 1000-block range limit applies", structural(blocks(1000))),
        (0, 200, "requested range exceeds maximum RPC range limit", structural(NO_HINT)),
        (0, 200, "Block range limit exceeded. See https://docs.example/limits#evm-range-limits", structural(NO_HINT)),
        (0, 200, "range must be less than 3 days", structural(NO_HINT)),
        (0, 200, "invalid block range: maximum 1000", structural(blocks(1000))),
        (-32600, 400, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block range should work: [0x1, 0xa]. Upgrade to PAYG for expanded block range.",
            structural(RangeHint { blocks: Some(10), range: Some((1, 10)) })),
        (0, 200, "block range is too large for your plan", structural(NO_HINT)),
        (429, 429, "Too many requests: limit the range to 1000 blocks", structural(blocks(1000))),
        (0, 200, "please use a smaller block range", dense(NO_HINT)),
        (0, 200, "range over 1000 blocks needs an archive node: block range too large", structural(blocks(1000))),
        (0, 200, "too many results, retry from 100 to 200", dense(RangeHint { blocks: None, range: Some((100, 200)) })),
        (0, 200, "requested [0x1, 0xff], which exceeds 1000 logs; try [0x1, 0x10]", dense(RangeHint { blocks: None, range: Some((1, 16)) })),
        // Time and size.
        (0, 200, "context deadline exceeded", dense(NO_HINT)),
        (0, 200, "execution aborted (timeout = 5s)", dense(NO_HINT)),
        (0, 200, "response would exceed 10MB", dense(NO_HINT)),
        (0, 504, "<html>504 Gateway Time-out</html>", dense(NO_HINT)),
        (0, 524, "", dense(NO_HINT)),
        (0, 413, "<html>413 Request Entity Too Large</html>", dense(NO_HINT)),
        (0, 413, "Request Entity Too Large", addresses(FilterPart::Either, None)),
        // "Limit" and "exceeded" of something else.
        (0, 429, "Your app has exceeded its compute units per second capacity. Blocks are served on higher plans.", limited()),
        (-32005, 200, "project ID request rate exceeded", limited()),
        (-32005, 200, "limit exceeded", limited()),
        (0, 200, "rate limit exceeded on block range queries, try again in 2s", wait(2000)),
        (0, 200, "limit of 100 requests in 60 s for block data", limited()),
        (0, 503, "too many requests, retry after 500 ms", wait(500)),
        (0, 429, "<html>Error 1015: you are being rate limited</html>", limited()),
        (0, 403, page, PlanRefused),
        (0, 503, page, Transient),
        (0, 500, page, Transient),
        (0, 400, "Bad Request", RpcErrorClass::Semantic),
        // The head, the branch, and what was thrown away.
        (-32000, 200, "One of the blocks specified in filter (fromBlock, toBlock or blockHash) cannot be found.", Lagging),
        (-32000, 200, "toBlock 500 exceeds the latest block 490", Lagging),
        (-32000, 200, "end block is less than begin block", Lagging),
        (-32001, 200, "Resource not found", Lagging),
        (-32000, 200, "log indexing is in progress", Lagging),
        (-32000, 200, "the node is 100 blocks behind the head", Lagging),
        (-32000, 200, "state of block 7 is pruned", PlanRefused),
        (4444, 200, "history unavailable", PlanRefused),
        (-32000, 200, "Archive requests are limited to paid plans: block 7 is beyond the 128 blocks limit", PlanRefused),
        (-32000, 200, "You've exceeded the limits of your plan", PlanRefused),
        (-32000, 200, "the method eth_getLogs is not supported", PlanRefused),
        (-32000, 200, "please specify an address in your request", PlanRefused),
        (-32000, 200, "monthly request limit reached, block range queries are paused", Unpaid),
        // Filters.
        (-32000, 200, "exceed max topics", addresses(FilterPart::Topics, None)),
        (-32000, 200, "too many addresses: 1001, max 1000", addresses(FilterPart::Addresses, Some(1000))),
        (-32000, 200, "query returned more than 10000 results, reduce the number of addresses", dense(NO_HINT)),
    ];
    for (code, status, message, class) in seen {
        assert_eq!(logs(code, status, message), class, "{code} {status} {message}");
    }
}

#[test]
fn waits_are_read_from_header_data_and_text() {
    let base = ErrorAnswer { method: "eth_call", http_status: Some(429), ..Default::default() };
    let header = ErrorAnswer { retry_after: Some(Duration::from_secs(7)), ..base };
    let data = json!({"rate": {"backoff_seconds": 1.5}});
    for (answer, seconds) in [
        (header, 7.0),
        (ErrorAnswer { data: Some(&data), ..base }, 1.5),
        (ErrorAnswer { message: "Try again in 2 seconds", ..base }, 2.0),
        (ErrorAnswer { message: "try again in 1m", ..base }, 60.0),
        (ErrorAnswer { message: "try again in 2s.", ..base }, 2.0),
        (ErrorAnswer { message: "please wait 3 seconds", ..base }, 3.0),
        (ErrorAnswer { message: "retry after 1.5s", ..base }, 1.5),
    ] {
        let retry_after = Some(Duration::from_secs_f64(seconds));
        assert_eq!(classify(&answer), RpcErrorClass::RateLimited { retry_after });
    }
}

#[test]
fn answers_about_transactions_are_semantic_whatever_the_text() {
    for (method, code, message) in [
        ("eth_call", 3, "execution reverted: rate limit of 5 blocks exceeded"),
        ("eth_estimateGas", -32000, "execution reverted"),
        ("eth_sendRawTransaction", -32000, "nonce too low"),
        ("eth_sendRawTransaction", -32603, "insufficient funds for gas * price + value"),
        ("eth_sendRawTransaction", -32000, "replacement transaction underpriced"),
        ("eth_sendRawTransaction", -32000, "exceeds block gas limit"),
        ("eth_sendRawTransaction", -32000, "already known"),
    ] {
        let answer = ErrorAnswer { method, code: Some(code), message, ..Default::default() };
        assert_eq!(classify(&answer), RpcErrorClass::Semantic, "{message}");
    }
}

#[test]
fn only_a_call_for_logs_can_ask_for_too_wide_a_range() {
    let answer = ErrorAnswer {
        method: "eth_blockNumber",
        code: Some(-32000),
        http_status: Some(503),
        message: "no backend is currently healthy to serve traffic",
        ..Default::default()
    };
    assert_eq!(classify(&answer), RpcErrorClass::Transient);
}
