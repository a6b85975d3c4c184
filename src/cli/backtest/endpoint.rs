//! History straight from the chains' endpoints, and what contracts answer.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    super::{Failure, asker::Asker, span::Range},
    HistoryArgs, Setting,
    trial::Trial,
};
use crate::{
    actors::governance,
    chain::{
        adapters::{Adapter, Decoded, LogContext, ordinals},
        answers::LogFilter,
    },
    config::{self, Config},
    domain::{BlockRef, Event, Name, Watermark},
    fold::Input,
    rules::{Asked, Question},
};

/// Headers asked for at once.
const HEADERS_AT_ONCE: usize = 16;
const TEMPLATE: &str = "{bar:30} {percent:>3} %  block {pos} of {len}  {msg}";

/// One chain while its history is read.
struct Reading<'s> {
    chain: &'s config::Chain,
    asker: Asker,
    contracts: Vec<(&'s config::Contract, Address, &'s Adapter)>,
    next: u64,
    to: u64,
    /// Time of the last block that was read.
    time: u64,
}

/// Tells sets all that happened to their contracts.
pub(super) async fn read(
    setting: &Setting,
    args: &HistoryArgs,
    trials: &mut [Trial],
) -> Result<(), Failure> {
    let names: BTreeSet<Name> =
        trials.iter().flat_map(|trial| trial.set.sources()).map(|it| it.contract).collect();
    if let Some(facts) = setting.config.facts.iter().find(|it| names.contains(&it.name)) {
        return Err(Failure::Failed(format!(
            "`{}` says facts that no chain has: read the daemon's stream, with --source stream",
            facts.name
        )));
    }
    let mut readings = readings(setting, args, &names).await?;
    let mut answers = Answers::of(setting);
    let blocks = readings.iter().map(|it| (it.to + 1).saturating_sub(it.next)).sum();
    let bar = ProgressBar::new(blocks);
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    // The chain that is behind goes first: what is ahead of another waits in memory.
    while let Some(reading) =
        readings.iter_mut().filter(|it| it.next <= it.to).min_by_key(|it| it.time)
    {
        let width = reading.chain.max_range.max(1);
        let range = Range { from: reading.next, to: reading.to.min(reading.next + width - 1) };
        bar.set_message(reading.chain.name.to_string());
        let through = reading.asker.block(range.to).await.map_err(Failure::failed)?;
        for (contract, address, adapter) in &reading.contracts {
            // What was before it the daemon doesn't read, either, unless it is asked for.
            let start = if args.from_block.is_some() { 0 } else { contract.start_block };
            if let Some(range) = range.and(Range { from: start, to: u64::MAX }) {
                for event in events(reading, contract, *address, adapter, range).await? {
                    tell(&Input::Event(event), trials)?;
                }
            }
            tell(&progress(reading.chain, contract, through), trials)?;
            answers.give(trials).await?;
        }
        (reading.next, reading.time) = (range.to + 1, through.time);
        bar.inc(range.len());
    }
    bar.finish_and_clear();
    Ok(())
}

fn tell(input: &Input, trials: &mut [Trial]) -> Result<(), Failure> {
    trials.iter_mut().try_for_each(|trial| trial.hear(input)).map_err(Failure::failed)
}

/// That a contract's events up to a block are told. Whatever is read is settled.
fn progress(chain: &config::Chain, contract: &config::Contract, through: BlockRef) -> Input {
    Input::Watermark(Watermark::Progress {
        chain: chain.name.clone(),
        chain_id: chain.chain_id,
        contract: contract.name.clone(),
        through,
        recent: vec![through],
        finalized: through.number,
        events: None,
        digest: None,
        after: None,
    })
}

/// Blocks are those of one chain.
pub(super) fn check_bounds(args: &HistoryArgs, chains: usize) -> Result<(), Failure> {
    if chains > 1 && (args.from_block.is_some() || args.to_block.is_some()) {
        let why = "the rules read several chains: --from-block and --to-block are blocks of one";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(())
}

/// The chains that are to be read.
async fn readings<'s>(
    setting: &'s Setting,
    args: &HistoryArgs,
    names: &BTreeSet<Name>,
) -> Result<Vec<Reading<'s>>, Failure> {
    let config = &setting.config;
    let mut by_chain: BTreeMap<&Name, Vec<_>> = BTreeMap::new();
    for contract in config.contracts.iter().filter(|contract| names.contains(&contract.name)) {
        let (Some(address), Some(adapter)) =
            (contract.address(), setting.adapters.get(&contract.name))
        else {
            return Err(Failure::Usage(format!(
                "contract `{}` has many addresses, which a factory creates: read the daemon's \
                 stream (--source stream)",
                contract.name
            )));
        };
        by_chain.entry(&contract.chain).or_default().push((contract, address, adapter));
    }
    check_bounds(args, by_chain.len())?;
    let mut readings = Vec::new();
    for (name, contracts) in by_chain {
        let Some(chain) = config.chain(name) else { continue };
        let (asker, to) = open(chain, args.to_block).await?;
        let starts = contracts.iter().map(|(contract, ..)| contract.start_block);
        let next = args.from_block.or(starts.min()).unwrap_or(0);
        if next > to {
            return Err(Failure::Usage(format!(
                "chain {name}: the first block is {next}, and the last one {to}"
            )));
        }
        readings.push(Reading { chain, asker, contracts, next, to, time: 0 });
    }
    Ok(readings)
}

/// A chain's endpoints, and its last block that counts: a wanted one, or the newest
/// that is deep enough to stay.
async fn open(chain: &config::Chain, wanted: Option<u64>) -> Result<(Asker, u64), Failure> {
    let (asker, left_out) = Asker::open(chain, wanted.unwrap_or(0)).await;
    if asker.is_empty() {
        return Err(Failure::Failed(format!(
            "chain {}: no endpoint can be asked:\n  {}",
            chain.name,
            left_out.join("\n  ")
        )));
    }
    let head = asker.head().await.map_err(Failure::failed)?;
    Ok((asker, wanted.unwrap_or_else(|| head.saturating_sub(chain.finality_depth))))
}

/// A contract's events in a range, in order.
async fn events(
    reading: &Reading<'_>,
    contract: &config::Contract,
    address: Address,
    adapter: &Adapter,
    range: Range,
) -> Result<Vec<Event>, Failure> {
    let filter = LogFilter { addresses: vec![address], topics0: adapter.topics0() };
    let mut logs = reading.asker.logs(&filter, range).await.map_err(Failure::failed)?;
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    let numbers: BTreeSet<u64> = logs.iter().filter_map(|log| log.block_number).collect();
    let headers: BTreeMap<u64, BlockRef> = stream::iter(numbers)
        .map(|number| async move { Ok((number, reading.asker.block(number).await?)) })
        .buffered(HEADERS_AT_ONCE)
        .try_collect()
        .await
        .map_err(|error: crate::chain::rpc::RpcError| Failure::failed(error))?;
    let mut events = Vec::new();
    for (log, ordinal) in logs.iter().zip(ordinals(&logs)) {
        let Some(block) = log.block_number.and_then(|number| headers.get(&number)) else {
            continue;
        };
        if log.block_hash != Some(block.hash) {
            return Err(Failure::Failed(format!(
                "block {} changed while it was read: end further from the newest (--to-block)",
                block.number
            )));
        }
        let context = LogContext {
            chain: reading.chain.name.clone(),
            chain_id: reading.chain.chain_id,
            contract: contract.name.clone(),
            ordinal,
            block: *block,
        };
        match adapter.decode(&context, log) {
            Ok(Decoded::Event(event)) => events.push(*event),
            // The daemon puts what can't be decoded aside, too.
            Ok(Decoded::NotOurs) | Err(_) => {}
        }
    }
    events.sort_by_key(|event| event.position);
    Ok(events)
}

/// What governors and chains answer to what sets ask.
pub(super) struct Answers<'s> {
    config: &'s Config,
    askers: BTreeMap<Name, Asker>,
    /// By the governor, and what was asked: sets ask alike.
    known: BTreeMap<(Name, U256, Asked), U256>,
}

impl<'s> Answers<'s> {
    pub(super) fn of(setting: &'s Setting) -> Self {
        Self { config: &setting.config, askers: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// Answers all that sets wait for.
    pub(super) async fn give(&mut self, trials: &mut [Trial]) -> Result<(), Failure> {
        for trial in trials {
            let mut before = Vec::new();
            loop {
                let questions = trial.questions();
                if questions.is_empty() {
                    break;
                }
                if questions == before {
                    let why =
                        format!("{:?} is still asked after it was answered", questions.first());
                    return Err(Failure::Failed(why));
                }
                for question in &questions {
                    let answer = self.answer(question).await?;
                    trial.learn(question, answer);
                }
                before = questions;
            }
        }
        Ok(())
    }

    async fn answer(&mut self, question: &Question) -> Result<U256, Failure> {
        let Question { governor, asked, proposal_id } = question;
        let key = (governor.clone(), *proposal_id, *asked);
        if let Some(answer) = self.known.get(&key) {
            return Ok(*answer);
        }
        let unknown = || Failure::Failed(format!("governor {governor} is not configured"));
        let contract = self.config.contract(governor).ok_or_else(unknown)?;
        let chain = self.config.chain(&contract.chain).ok_or_else(unknown)?;
        if !self.askers.contains_key(&chain.name) {
            let (asker, _) = open(chain, None).await?;
            self.askers.insert(chain.name.clone(), asker);
        }
        let asker = self.askers.get(&chain.name).ok_or_else(unknown)?;
        let answer = match asked {
            Asked::BlockTime { block } => {
                U256::from(asker.block(*block).await.map_err(Failure::failed)?.time)
            }
            Asked::Governor(ask) => {
                let address = contract.address().ok_or_else(unknown)?;
                let (data, at) = governance::question(*proposal_id, *ask);
                let answer = asker.call(address, &data, at).await.map_err(Failure::failed)?;
                governance::read_answer(&answer).ok_or_else(|| {
                    Failure::Failed(format!("governor {governor} does not answer {ask}"))
                })?
            }
        };
        self.known.insert(key, answer);
        Ok(answer)
    }
}
