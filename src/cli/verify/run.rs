//! From what is asked for to the report: the stream first, then the chain,
//! range by range.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use alloy::rpc::types::Log;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    super::{
        Failure,
        asker::{Asker, Truth},
        progress::Progress,
        span::{Range, others},
    },
    children,
    difference::{Difference, Fact, Facts, Kind, Unlocked, compare, keys, place},
    judge::judge,
    report::{Covered, Report},
    said::Said,
    stream::{self, Announced},
    task::Task,
};
use crate::{
    chain::{
        adapters::{Adapter, Decoded, LogContext, ordinals},
        answers::LogFilter,
        feed,
    },
    config::{self, ContractKind},
    domain::Name,
    streams::connection::Connection,
};

/// Blocks without logs that are proved in each range, when all are read.
const OTHERS: u64 = 3;
/// Blocks that are asked for at once.
const AT_ONCE: usize = 4;
/// How long a daemon has to take back what a fresh reorg orphaned.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// Pause between two looks for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One contract while it is verified.
struct Watched<'a> {
    name: &'a Name,
    adapter: &'a Adapter,
    logs: feed::share::Watched,
    announced: Announced,
    span: Range,
    stream: Facts,
    /// For achievements.
    unlocked: Option<Unlocked>,
}

/// Does it.
pub(super) async fn verify(task: &Task<'_>, connection: &Connection) -> Result<Report, Failure> {
    let began = Instant::now();
    let mut report = Report::new(&task.chain.name, task.seed, task.args.sample.is_some());
    let mut spans = Vec::new();
    for (contract, adapter) in &task.contracts {
        let announced = stream::announced(connection, &task.chain.name, &contract.name).await?;
        let span = announced.as_ref().and_then(|announced| task.span(contract, announced));
        report.contracts.push(Covered::new(contract.name.clone(), span));
        if let (Some(announced), Some(span)) = (announced, span) {
            spans.push((*contract, *adapter, announced, span));
        }
    }
    let first = spans.iter().map(|(.., span)| span.from).min();
    let last = spans.iter().map(|(.., span)| span.to).max();
    let Some((from, to)) = first.zip(last) else {
        report.took = began.elapsed();
        return Ok(report);
    };
    let ranges = task.ranges(Range { from, to });
    let (asker, left_out) = Asker::open(task.chain, to).await;
    report.left_out = left_out;
    if asker.is_empty() {
        let why = report.left_out.join("\n  ");
        return Err(Failure::Failed(format!(
            "no endpoint of chain {} can be asked:\n  {why}",
            task.chain.name
        )));
    }
    let mut watched = read_stream(task, connection, &asker, spans, &ranges, &mut report).await?;
    let mut progress = Progress::new();
    for (done, range) in ranges.iter().enumerate() {
        progress.show(|| format!("block {} of {to}, range {done} of {}", range.from, ranges.len()));
        look_at(task, &asker, *range, &mut watched, &mut report).await?;
    }
    progress.clear();
    settle(task, connection, &watched, &mut report).await?;
    report.took = began.elapsed();
    Ok(report)
}

async fn read_stream<'a>(
    task: &Task<'a>,
    connection: &Connection,
    asker: &Asker,
    spans: Vec<(&'a config::Contract, &'a Adapter, Announced, Range)>,
    ranges: &[Range],
    report: &mut Report,
) -> Result<Vec<Watched<'a>>, Failure> {
    let chain = &task.chain.name;
    let mut readers = BTreeMap::new();
    for (contract, _, announced, span) in &spans {
        let rewinds = stream::rewinds(connection, chain, &contract.name).await?;
        let mine = ranges.iter().filter_map(|range| range.and(*span)).collect();
        let said = Said::new(contract.name.clone(), mine, rewinds);
        readers.insert(contract.name.clone(), (announced.sequence, said));
    }
    let mut progress = Progress::new();
    let show = |sequence: u64, last: u64| {
        progress.show(|| format!("message {sequence} of {last} of the stream"));
    };
    report.unreadable = stream::read(connection, chain, &mut readers, show).await?;
    progress.clear();
    let mut watched = Vec::new();
    for (contract, adapter, announced, span) in spans {
        let Some((_, said)) = readers.remove(&contract.name) else { continue };
        let (stream, holes) = said.finish();
        report.add(holes);
        let logs = children::watched(task, asker, contract, adapter, span.to).await?;
        watched.push(Watched {
            name: &contract.name,
            adapter,
            logs,
            announced,
            span,
            stream,
            unlocked: (contract.kind == ContractKind::Achievements).then(Unlocked::default),
        });
    }
    Ok(watched)
}

/// Reads a range from the chain, proves blocks of it, and compares.
async fn look_at(
    task: &Task<'_>,
    asker: &Asker,
    range: Range,
    watched: &mut [Watched<'_>],
    report: &mut Report,
) -> Result<(), Failure> {
    let mut answers = Vec::new();
    let mut wanted = BTreeSet::new();
    for contract in watched.iter() {
        let Some(part) = contract.span.and(range) else { continue };
        let filter = contract.logs.filter();
        let logs = asker.logs(filter, part).await.map_err(Failure::failed)?;
        wanted.extend(logs.iter().filter_map(|log| log.block_number));
        wanted.extend(contract.stream.range(keys(part)).map(|((block, ..), _)| *block));
        answers.push((part, logs));
    }
    let count = if task.args.sample.is_some() { u64::MAX } else { OTHERS };
    let more = others(range, &wanted, count, task.seed);
    wanted.extend(more);
    let filters: Vec<LogFilter> = watched
        .iter()
        .filter(|contract| contract.span.and(range).is_some())
        .map(|contract| contract.logs.filter().clone())
        .collect();
    let filters = filters.as_slice();
    let truths: BTreeMap<u64, Truth> = futures::stream::iter(wanted)
        .map(|block| async move {
            let truth = asker.truth(block, filters).await.map_err(Failure::failed)?;
            Ok::<_, Failure>((block, truth))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    report.ranges += 1;
    report.blocks += range.len();
    for truth in truths.values() {
        count_proof(truth, report);
    }
    let overlapping = watched.iter_mut().filter(|contract| contract.span.and(range).is_some());
    for (index, (contract, (part, logs))) in overlapping.zip(answers).enumerate() {
        let mut logs = believed(contract.name, index, part, logs, &truths, report);
        // What is proven of its addresses may be from before they counted.
        logs.retain(|log| contract.logs.has(log));
        let facts = facts_of(task, contract, part, &logs, &truths, report);
        if let Some(covered) = report.contracts.iter_mut().find(|c| c.contract == *contract.name) {
            covered.events += facts.len() as u64;
        }
        report.add(compare(contract.name, part, &facts, &contract.stream));
    }
    Ok(())
}

fn count_proof(truth: &Truth, report: &mut Report) {
    match &truth.unproved {
        None => report.proved += 1,
        Some(why) => *report.unproved.entry(why.clone()).or_default() += 1,
    }
    report.add(truth.lies.iter().map(|lie| Difference {
        kind: Kind::Lie,
        contract: None,
        block: truth.block.number,
        transaction: None,
        log_index: None,
        event: None,
        detail: lie.clone(),
    }));
}

/// The logs of a contract: those that are proved, and the answer's where
/// nothing is. What the answer got wrong is noted.
fn believed(
    contract: &Name,
    index: usize,
    part: Range,
    answered: Vec<Log>,
    truths: &BTreeMap<u64, Truth>,
    report: &mut Report,
) -> Vec<Log> {
    let mut by_block: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
    for log in answered {
        by_block.entry(log.block_number.unwrap_or_default()).or_default().push(log);
    }
    for (number, truth) in truths.range(part.from..=part.to) {
        let proven = truth.logs.as_ref().and_then(|logs| logs.get(index));
        let logs = by_block.entry(*number).or_default();
        match proven.map(|proven| (proven, judge(contract, proven, logs.clone()))) {
            Some((proven, Ok(found))) => {
                report.add(found);
                logs.clone_from(proven);
            }
            Some((_, Err(why))) => {
                report.proved = report.proved.saturating_sub(1);
                *report.unproved.entry(why.to_string()).or_default() += 1;
            }
            None => {
                let other = logs.iter().find(|log| log.block_hash != Some(truth.block.hash));
                report.add(other.map(|log| Difference {
                    kind: Kind::Lie,
                    contract: Some(contract.clone()),
                    block: *number,
                    transaction: log.transaction_hash,
                    log_index: log.log_index,
                    event: None,
                    detail: format!(
                        "eth_getLogs says it is in block {}, eth_getBlockByNumber names {}",
                        log.block_hash.unwrap_or_default(),
                        truth.block.hash
                    ),
                }));
            }
        }
    }
    by_block.into_values().flatten().collect()
}

/// Decodes logs as the contract actor does.
fn facts_of(
    task: &Task<'_>,
    contract: &mut Watched<'_>,
    part: Range,
    logs: &[Log],
    truths: &BTreeMap<u64, Truth>,
    report: &mut Report,
) -> Facts {
    let mut facts = Facts::new();
    if let Some(unlocked) = &mut contract.unlocked {
        unlocked.begin(part);
    }
    for (log, ordinal) in logs.iter().zip(ordinals(logs)) {
        // Each block with logs was asked for.
        let Some(truth) = log.block_number.and_then(|number| truths.get(&number)) else { continue };
        let context = LogContext {
            chain: task.chain.name.clone(),
            chain_id: task.chain.chain_id,
            contract: contract.name.clone(),
            ordinal,
            block: truth.block,
        };
        match contract.adapter.decode(&context, log) {
            Ok(Decoded::Event(event)) => {
                facts.insert(place(&event), Fact::of(&event));
                let twice = contract.unlocked.as_mut().and_then(|known| known.see(&event));
                report.add(twice);
            }
            Ok(Decoded::NotOurs) => {}
            Err(_) => report.undecodable += 1,
        }
    }
    facts
}

/// Drops what turns out to be no difference: events that were too large, and
/// blocks that the daemon took back since their stream was read.
async fn settle(
    task: &Task<'_>,
    connection: &Connection,
    watched: &[Watched<'_>],
    report: &mut Report,
) -> Result<(), Failure> {
    let chain = &task.chain.name;
    let of = |difference: &Difference, contract: &Watched<'_>| {
        difference.contract.as_ref() == Some(contract.name)
    };
    for contract in watched {
        let missing = |d: &Difference| of(d, contract) && d.kind == Kind::Missing;
        if report.listed().iter().any(missing) {
            let aside = stream::set_aside(connection, contract.name).await?;
            report.set_aside += report
                .drop_where(|d| missing(d) && d.event.is_some_and(|event| aside.contains(&event)));
        }
    }
    let deadline = Instant::now() + SETTLED_WITHIN;
    for contract in watched {
        let finalized = contract.announced.finalized;
        while report.listed().iter().any(|difference| of(difference, contract)) {
            let after = contract.announced.sequence;
            let from = stream::taken_back(connection, chain, contract.name, after).await?;
            if let Some(from) = from {
                report.unsettled += report.drop_where(|d| of(d, contract) && d.block >= from);
                break;
            }
            let may_be = |d: &Difference| of(d, contract) && d.block > finalized;
            if Instant::now() >= deadline || !report.listed().iter().any(may_be) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}
