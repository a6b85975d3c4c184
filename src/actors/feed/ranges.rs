//! One range of final history, for several contracts.

use std::{collections::BTreeMap, sync::Arc};

use alloy::{primitives::Bloom, rpc::types::Log};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    chain::{
        answers::LogFilter,
        client::{ChainClient, LogRange, ProvenLogs},
        feed::share::{Watched, bytes_of, deal, union},
        headers::HeaderWindow,
        rpc::RpcError,
    },
    config::Completeness,
    domain::BlockRef,
    teeth::{Tooth, is_planted},
};

/// Headers asked for in one go.
const HEADERS_AT_ONCE: usize = 256;
/// Blocks of a range that are asked for once more because their blooms speak
/// of logs that did not come. Of a crowded chain nearly every bloom does, so
/// more would cost a call a block; certain is only the level `receipts`.
const DOUBTS_MAX: usize = 8;
/// Of these at once.
const DOUBTS_AT_ONCE: usize = 2;
/// Most blocks of one range whose receipts prove its logs: each takes a header,
/// and many a call for receipts.
pub(super) const PROVEN_BLOCKS_MAX: u64 = 256;
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
pub struct Order<W> {
    /// First block.
    pub from: u64,
    /// Last block.
    pub to: u64,
    /// Who gets logs, from which block on.
    pub shares: Vec<(W, u64, Arc<Watched>)>,
    /// Headers that are known for sure.
    pub window: Option<Arc<HeaderWindow>>,
    /// How far the endpoints are believed.
    pub completeness: Completeness,
}

/// What was read.
pub struct Answer<W> {
    /// The last block that was.
    pub through: u64,
    /// Who gets what, with its size in bytes.
    pub parts: Vec<(W, usize, Piece)>,
}

/// Headers by number, with their blooms where these are known.
type Headers = BTreeMap<u64, (BlockRef, Option<Bloom>)>;

/// What endpoints gave of a range, before it is dealt out.
struct Found {
    through: BlockRef,
    logs: Vec<Log>,
    /// The headers of the last block and of all that have logs, ascending.
    blocks: Vec<BlockRef>,
    /// Where nothing is proven: what can be held against logs that are not there.
    doubtful: Option<(LogRange, Headers)>,
}

/// Reads a range of final blocks, or its beginning.
///
/// # Errors
/// See [`RpcError`].
pub async fn read<W>(client: &ChainClient, order: Order<W>) -> Result<Answer<W>, RpcError> {
    let Order { from, to, shares, window, completeness } = order;
    let filter = union(shares.iter().map(|(_, _, watched)| &**watched));
    let found = match completeness {
        Completeness::Receipts if is_planted(Tooth::ReceiptsNotChecked) => {
            told(client, &filter, (from, to), window.as_deref(), false).await?
        }
        Completeness::Receipts => {
            let to = to.min(from.saturating_add(PROVEN_BLOCKS_MAX - 1));
            let top = window.as_deref().and_then(|window| window.at(to)).map(|block| block.hash);
            proven(client.proven_logs(&filter, from, to, top).await?)
        }
        Completeness::Bloom | Completeness::None => {
            let seconded = completeness == Completeness::Bloom;
            told(client, &filter, (from, to), window.as_deref(), seconded).await?
        }
    };
    let Some(Found { through: last, logs, blocks, doubtful }) = found else {
        return Err(RpcError::Failed {
            endpoint: client.chain().as_str().into(),
            method: "eth_getBlockByNumber".to_owned(),
            reason: format!("there is no header of the last block of {from} to {to}"),
        });
    };
    let through = last.number;
    let present: Vec<_> = shares.into_iter().filter(|(_, from, _)| *from <= through).collect();
    let to: Vec<_> = present.iter().map(|(_, from, watched)| (&**watched, *from)).collect();
    let dealt = deal(logs, &to);
    if let Some((range, headers)) = doubtful.filter(|_| completeness == Completeness::Bloom) {
        doubt(client, &range, &headers, &to, &dealt).await?;
    }
    let blocks: Arc<[BlockRef]> = blocks.into();
    drop(to);
    let parts = present.into_iter().zip(dealt).map(|((who, _, _), logs)| {
        let bytes = logs.iter().map(bytes_of).sum::<usize>();
        let held = bytes + HEADER_BYTES * logs.len().min(blocks.len());
        (who, held, Piece { through: last, logs, headers: Arc::clone(&blocks) })
    });
    Ok(Answer { through, parts: parts.collect() })
}

/// Logs as an endpoint tells them.
async fn told(
    client: &ChainClient,
    filter: &LogFilter,
    (from, to): (u64, u64),
    window: Option<&HeaderWindow>,
    seconded: bool,
) -> Result<Option<Found>, RpcError> {
    let mut range = client.logs(filter, from, to).await?;
    if seconded {
        client.second(filter, from, &range).await?;
    }
    let through = range.through.clamp(from, to);
    let mut logs = std::mem::take(&mut range.logs);
    logs.retain(|log| log.block_number.is_some_and(|number| number <= through));
    let headers = headers(client, window, &heights(&logs, through)).await?;
    let blooms = headers.values().filter_map(|(block, bloom)| Some((block, bloom.as_ref()?)));
    client.check_presence(&range, &logs, blooms).await?;
    let blocks = headers.values().map(|(block, _)| *block).collect();
    Ok(headers.get(&through).map(|(last, _)| *last).map(|through| Found {
        through,
        logs,
        blocks,
        doubtful: Some((range, headers)),
    }))
}

/// Logs as receipts prove them.
fn proven(ProvenLogs { logs, mut blocks }: ProvenLogs) -> Option<Found> {
    let through = *blocks.last()?;
    let heights = heights(&logs, through.number);
    blocks.retain(|block| heights.binary_search(&block.number).is_ok());
    Some(Found { through, logs, blocks, doubtful: None })
}

/// The heights of logs, which are in order, and of the last block.
fn heights(logs: &[Log], through: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = logs.iter().filter_map(|log| log.block_number).collect();
    numbers.push(through);
    numbers.dedup();
    numbers
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
