//! How providers say no to `eth_getLogs`, as they were seen to, with the
//! numbers at hand in the place of theirs.

use std::fmt;

use serde_json::json;

use super::Refusal;

/// What was asked for and is too much.
pub struct Asked {
    pub from: u64,
    pub to: u64,
    /// What would be allowed: blocks, logs or addresses.
    pub most: u64,
}

impl Asked {
    /// A shorter range from the same start.
    fn shorter(&self) -> (u64, u64) {
        (self.from, self.from + (self.to - self.from) / 2)
    }

    /// A range that a limit of blocks allows.
    fn allowed(&self) -> (u64, u64) {
        (self.from, self.from + self.most - 1)
    }
}

/// One provider's words.
#[derive(Clone, Copy)]
pub struct Wording {
    pub of: &'static str,
    pub say: fn(&Asked) -> Refusal,
}

impl fmt::Debug for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wording({})", self.of)
    }
}

const fn said(of: &'static str, say: fn(&Asked) -> Refusal) -> Wording {
    Wording { of, say }
}

/// Too many blocks, whatever is in them.
pub const STRUCTURAL: &[Wording] = &[
    said("Alchemy free", |a| {
        let (from, to) = a.allowed();
        let message = format!(
            "You can make eth_getLogs requests with up to a {} block range. Based on your \
             parameters, this block range should work: [{from:#x}, {to:#x}]",
            a.most
        );
        Refusal::new(-32600, message).with_status(400)
    }),
    said("QuickNode", |a| {
        Refusal::new(-32614, format!("eth_getLogs is limited to a {} range", commas(a.most)))
            .with_status(413)
    }),
    said("Ankr", |_| Refusal::new(-32600, "block range is too wide")),
    said("Ankr TAC", |a| {
        Refusal::new(-32000, format!("maximum [from, to] blocks distance: {}", a.most))
    }),
    said("reth", |a| Refusal::new(-32602, format!("query exceeds max block range {}", a.most))),
    said("dRPC free", |a| {
        Refusal::new(35, format!("ranges over {} blocks are not supported on freetier", a.most))
    }),
    said("BlockPI", |a| {
        let most = a.most;
        Refusal::new(-32602, format!("eth_getLogs is limited to {most} block range. Please check"))
    }),
    said("Morph", |a| {
        let message = format!(
            "block range is larger than max block range, block range = {}, max block range = {}",
            a.to - a.from + 1,
            a.most
        );
        Refusal::new(-32000, message)
    }),
    said("publicnode", |a| Refusal::new(-32000, format!("exceed maximum block range: {}", a.most))),
    said("Cloudflare", |a| Refusal::new(-32047, format!("Max range: {}", a.most))),
    said("Avalanche", |a| {
        let Asked { from, to, most } = a;
        let message =
            format!("requested too many blocks from {from} to {to}, maximum is set to {most}");
        Refusal::new(-32000, message)
    }),
    said("Coinbase", |a| {
        Refusal::new(-32602, format!("please limit the query to at most {} blocks", a.most))
    }),
    said("Sei", |a| {
        let asked = a.to - a.from + 1;
        let most = a.most;
        let message = format!("block range too large ({asked}), maximum allowed is {most} blocks");
        Refusal::new(-32000, message)
    }),
    said("Moonriver", |a| {
        Refusal::new(-32603, format!("block range is too wide (maximum {})", a.most))
    }),
    said("Harmony", |a| {
        Refusal::new(-32000, format!("query must be smaller than size {}", a.most))
    }),
];

/// Too much in these blocks.
pub const DENSITY: &[Wording] = &[
    said("Infura", |a| {
        let (from, to) = a.shorter();
        let message = format!(
            "query returned more than {} results. Try with this block range [0x{from:X}, 0x{to:X}].",
            a.most
        );
        let data = json!({
            "from": format!("0x{from:X}"), "limit": a.most, "to": format!("0x{to:X}"),
        });
        Refusal::new(-32005, message).with_data(data)
    }),
    said("Linea", |a| Refusal::new(-32005, format!("query returned more than {} results", a.most))),
    said("Infura, slow", |_| Refusal::new(-32005, "query timeout exceeded")),
    said("Alchemy", |a| {
        let (from, to) = a.shorter();
        let message = format!(
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block \
             range and no limit on the response size, or you can request any block range with a \
             cap of 10K logs in the response. Based on your parameters and the response size \
             limit, this block range should work: [{from:#x}, {to:#x}]"
        );
        Refusal::new(-32602, message)
    }),
    said("LlamaRPC", |a| {
        let (from, to) = a.shorter();
        let message =
            format!("query exceeds max results {}, retry with the range {from}-{to}", a.most);
        Refusal::new(-32602, message)
    }),
    said("reth jsonrpsee", |_| {
        let data = json!("Exceeded max limit of 167772160");
        Refusal::new(-32008, "Response is too big").with_data(data)
    }),
    said("Arbitrum", |a| {
        Refusal::new(-32000, format!("logs matched by query exceeds limit of {}", a.most))
    }),
    said("Optimism", |_| Refusal::new(-32020, "backend response too large")),
    said("Base proxyd", |_| {
        Refusal::new(-32011, "no backend is currently healthy to serve traffic").with_status(503)
    }),
];

/// Too many addresses: fewer blocks would not help.
pub const ADDRESSES: &[Wording] = &[
    said("BSC", |_| Refusal::new(-32005, "specify less number of address")),
    said("geth", |_| Refusal::new(-32602, "exceed max addresses or topics per search position")),
    said("Conflux", |a| {
        let message =
            format!("This query contains too many filters. The current limit is {}.", a.most);
        Refusal::new(-32602, message)
    }),
];

/// Too often: fewer blocks would not help.
pub fn too_often() -> Vec<Refusal> {
    vec![
        Refusal::new(-32005, "rate limit, try again in 4ms"),
        Refusal::new(-32005, "daily request count exceeded, request rate limited"),
        Refusal::new(-32007, "100/second request limit reached - reduce calls per second"),
        Refusal::new(-32012, "credits limited to 6000/sec"),
        Refusal::new(-32016, "rate limit"),
        Refusal::new(-32005, "too many requests")
            .with_data(json!({ "rate": { "backoff_seconds": 1 } }))
            .with_status(429),
        Refusal::new(-32001, "Unable to complete request at this time.").with_status(503),
    ]
}

/// The node is behind or elsewhere: fewer blocks would not help.
pub fn behind() -> Vec<Refusal> {
    vec![
        Refusal::new(-32000, "requested to block is after last accepted block"),
        Refusal::new(-32602, "block range extends beyond current head block"),
        Refusal::new(-32602, "invalid block range"),
        Refusal::new(-32000, "header not found"),
        Refusal::unknown_block(),
    ]
}

/// Several calls in one request.
pub fn no_batches() -> Refusal {
    Refusal::new(-32600, "batch requests are not supported").with_status(400)
}

/// 12345 as `12,345`.
fn commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
