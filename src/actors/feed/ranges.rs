//! One range of final history, for several contracts.

use std::{collections::BTreeMap, sync::Arc};

use alloy::{primitives::Bloom, rpc::types::Log};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    chain::{
        client::{ChainClient, LogRange},
        feed::{
            MemberId,
            share::{Watched, bytes_of, deal, union},
        },
        headers::HeaderWindow,
        rpc::RpcError,
    },
    config::Completeness,
    domain::BlockRef,
};

/// Headers asked for in one go.
const HEADERS_AT_ONCE: usize = 256;
/// Blocks of a range that are asked for once more because their blooms speak
/// of logs that did not come. Of a crowded chain nearly every bloom does, so
/// more would cost a call a block; certain is only the level `receipts`.
const DOUBTS_MAX: usize = 8;
/// Of these at once.
const DOUBTS_AT_ONCE: usize = 2;
/// What a header takes in memory, bytes.
const HEADER_BYTES: usize = size_of::<BlockRef>();

/// A contract's part of a range.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The last block that is complete.
    pub through: BlockRef,
    /// The contract's logs, in order.
    pub logs: Vec<Log>,
    /// The headers of the last block and of all blocks that have logs of these
    /// or of other contracts, ascending.
    pub headers: Arc<[BlockRef]>,
}

/// What to read, and for whom.
pub(super) struct Order {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Who gets logs, from which block on.
    pub(super) shares: Vec<(MemberId, u64, Arc<Watched>)>,
    pub(super) window: Option<Arc<HeaderWindow>>,
    pub(super) completeness: Completeness,
}

/// What was read, up to where, with the sizes of the parts in bytes.
pub(super) struct Answer {
    pub(super) through: u64,
    pub(super) parts: Vec<(MemberId, usize, Piece)>,
}

/// Headers by number, with their blooms where these are known.
type Headers = BTreeMap<u64, (BlockRef, Option<Bloom>)>;

pub(super) async fn read(client: &ChainClient, order: Order) -> Result<Answer, RpcError> {
    let Order { from, to, shares, window, completeness } = order;
    let filter = union(shares.iter().map(|(_, _, watched)| &**watched));
    let mut range = client.logs(&filter, from, to).await?;
    let through = range.through.clamp(from, to);
    let mut logs = std::mem::take(&mut range.logs);
    logs.retain(|log| log.block_number.is_some_and(|number| number <= through));
    let mut numbers: Vec<u64> = logs.iter().filter_map(|log| log.block_number).collect();
    numbers.push(through);
    numbers.dedup();
    let headers = headers(client, window.as_deref(), &numbers).await?;
    let Some((last, _)) = headers.get(&through).copied() else {
        return Err(RpcError::Failed {
            endpoint: client.chain().as_str().into(),
            method: "eth_getBlockByNumber".to_owned(),
            reason: format!("there is no header of block {through}"),
        });
    };
    let present: Vec<_> = shares.into_iter().filter(|(_, from, _)| *from <= through).collect();
    let to: Vec<_> = present.iter().map(|(_, from, watched)| (&**watched, *from)).collect();
    let dealt = deal(logs, &to);
    if completeness != Completeness::None {
        doubt(client, &range, &headers, &to, &dealt).await?;
    }
    let blocks: Arc<[BlockRef]> = headers.values().map(|(block, _)| *block).collect();
    let parts = present.iter().zip(dealt).map(|((id, _, _), logs)| {
        let bytes = logs.iter().map(bytes_of).sum::<usize>();
        let held = bytes + HEADER_BYTES * logs.len().min(blocks.len());
        (*id, held, Piece { through: last, logs, headers: Arc::clone(&blocks) })
    });
    Ok(Answer { through, parts: parts.collect() })
}

/// The headers of these heights: the window's where it has them.
async fn headers(
    client: &ChainClient,
    window: Option<&HeaderWindow>,
    numbers: &[u64],
) -> Result<Headers, RpcError> {
    let mut headers = Headers::new();
    let mut missing = Vec::new();
    for number in numbers {
        match window.and_then(|window| Some((window, *window.at(*number)?))) {
            Some((window, block)) => {
                headers.insert(*number, (block, window.bloom(&block.hash).copied()));
            }
            None => missing.push(*number),
        }
    }
    for numbers in missing.chunks(HEADERS_AT_ONCE) {
        for header in client.headers(numbers).await? {
            headers.insert(header.block.number, (header.block, Some(header.logs_bloom)));
        }
    }
    Ok(headers)
}

/// Holds the blooms at hand against what came: where one speaks of logs of a
/// contract that has none there, the block is asked for by its hash.
async fn doubt(
    client: &ChainClient,
    range: &LogRange,
    headers: &Headers,
    shares: &[(&Watched, u64)],
    dealt: &[Vec<Log>],
) -> Result<(), RpcError> {
    let mut doubtful = Vec::new();
    for (number, (block, bloom)) in headers {
        let Some(bloom) = bloom else { continue };
        let lacking = shares.iter().zip(dealt).filter(|((watched, from), logs)| {
            *from <= *number && !has_block(logs, *number) && watched.may_be_in(bloom)
        });
        let lacking: Vec<&Watched> = lacking.map(|((watched, _), _)| *watched).collect();
        if !lacking.is_empty() {
            doubtful.push((block, bloom, union(lacking)));
        }
    }
    // The last one always, and others spread over the range.
    let step = doubtful.len().div_ceil(DOUBTS_MAX).max(1);
    let checks = doubtful.iter().rev().step_by(step).map(|(block, bloom, filter)| {
        futures::FutureExt::boxed_local(client.check_absence(filter, range, block, bloom))
    });
    futures::stream::iter(checks).buffer_unordered(DOUBTS_AT_ONCE).try_collect().await
}

/// Whether logs, which are in order, have some of a block.
fn has_block(logs: &[Log], number: u64) -> bool {
    logs.binary_search_by_key(&Some(number), |log| log.block_number).is_ok()
}
