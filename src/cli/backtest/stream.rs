//! History as the daemon's stream has it.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;

use super::{
    super::{Failure, reading::each},
    HistoryArgs, Setting,
    endpoint::{Answers, check_bounds},
    trial::Trial,
};
use crate::{
    actors::{
        hearing::{Heard, Unheard, hear},
        messages,
    },
    daemon,
    domain::{BlockRef, Name, Rewind, Watermark, off_chain::off_chain},
    fold::{Account, Input},
    streams::{
        StreamError,
        connection::Connection,
        subjects::{self, StreamId},
    },
};

/// Tells sets all that the stream has of their contracts.
pub(super) async fn read(
    setting: &Setting,
    args: &HistoryArgs,
    trials: &mut [Trial],
) -> Result<(), Failure> {
    let without = |error: String| {
        Failure::Failed(format!(
            "{error}. Without a daemon, read from the chain: --source endpoint"
        ))
    };
    let spec = daemon::broker_of(&setting.config, "meritd-backtest");
    let spec = spec.map_err(|error| without(error.to_string()))?;
    let connection = Connection::open(spec).await.map_err(|error| match error {
        StreamError::Unreachable { .. } => {
            without(format!("{error}; is the daemon running? (`meritd run`)"))
        }
        error => Failure::failed(error),
    })?;
    let contracts: BTreeSet<Name> =
        trials.iter().flat_map(|trial| trial.set.sources()).map(|it| it.contract).collect();
    let of_chain = |name: &Name| {
        if setting.config.facts.iter().any(|facts| facts.name == *name) {
            return Some((off_chain(), name.clone()));
        }
        let contract = setting.config.contract(name)?;
        Some((contract.chain.clone(), name.clone()))
    };
    let named: Vec<(Name, Name)> = contracts.iter().filter_map(of_chain).collect();
    let chains: BTreeSet<&Name> = named.iter().map(|(chain, _)| chain).collect();
    check_bounds(args, chains.len())?;
    let rewound: Vec<String> =
        named.iter().map(|(chain, contract)| subjects::rewind(chain, contract)).collect();
    let mut rewinds: Vec<(u64, Rewind)> = Vec::new();
    each(&connection, StreamId::Events, &rewound, 1, |stored| {
        rewinds.push((stored.sequence, messages::read(&stored.payload).map_err(Failure::failed)?));
        Ok(true)
    })
    .await?;
    let filters: Vec<String> = named
        .iter()
        .flat_map(|(chain, name)| {
            [subjects::events_of(chain, name), subjects::watermark(chain, name)]
        })
        .collect();
    let mut account = Account::new(rewinds);
    let mut answers = Answers::of(setting);
    let mut bounds = Bounds { args, newest: None, beyond: BTreeMap::new() };
    let bar = bar();
    let mut from = 1;
    loop {
        // Questions wait for answers between messages, and reading does not wait.
        let mut next = None;
        each(&connection, StreamId::Events, &filters, from, |stored| {
            bar.set_position(stored.sequence);
            let input = match hear(&mut account, stored.sequence, &stored.subject, &stored.payload)
            {
                Ok(Heard::Input(input)) => *input,
                // A daemon puts aside what it can't read, too.
                Ok(Heard::Void | Heard::Rewind(_)) | Err(Unheard::Unreadable) => {
                    return Ok(true);
                }
                Err(Unheard::Hole(hole)) => return Err(Failure::failed(hole)),
            };
            let Some(input) = bounds.within(input) else { return Ok(true) };
            let mut waits = false;
            for trial in &mut *trials {
                trial.hear(&input).map_err(Failure::failed)?;
                waits |= !trial.questions().is_empty();
            }
            if waits {
                next = Some(stored.sequence + 1);
            }
            Ok(!waits)
        })
        .await?;
        answers.give(trials).await?;
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    for input in bounds.finish() {
        for trial in &mut *trials {
            trial.hear(&input).map_err(Failure::failed)?;
        }
        answers.give(trials).await?;
    }
    bar.finish_and_clear();
    if trials.iter().all(|trial| trial.through == 0) {
        return Err(Failure::Failed(
            "the stream has nothing of these contracts: is the daemon reading them, and did it \
             get so far? Without one, read from the chain: --source endpoint"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The blocks that are asked for.
struct Bounds<'a> {
    args: &'a HistoryArgs,
    /// The newest block within them that anything was told of.
    newest: Option<BlockRef>,
    /// The contracts that are complete beyond them.
    beyond: BTreeMap<Name, (Name, u64)>,
}

impl Bounds<'_> {
    fn is_within(&self, block: &BlockRef) -> bool {
        self.args.to_block.is_none_or(|to| block.number <= to)
    }

    /// Something, if it is within them.
    fn within(&mut self, input: Input) -> Option<Input> {
        let (block, begun) = match &input {
            Input::Event(event) => {
                let from = self.args.from_block;
                (event.block, from.is_none_or(|from| event.block.number >= from))
            }
            Input::Watermark(watermark) => (*watermark.complete_through(), true),
        };
        if self.is_within(&block) {
            let is_newer = self.newest.is_none_or(|newest| newest.number < block.number);
            if is_newer {
                self.newest = Some(block);
            }
            return begun.then_some(input);
        }
        if let Input::Watermark(Watermark::Progress { chain, chain_id, contract, .. }) = input {
            self.beyond.insert(contract, (chain, chain_id));
        }
        None
    }

    /// That those who are complete beyond the last block are so up to the newest one
    /// that is known: time after that has not passed.
    fn finish(self) -> impl Iterator<Item = Input> {
        let newest = self.newest;
        let progress = move |(contract, (chain, chain_id)): (Name, (Name, u64))| {
            let through = newest?;
            Some(Input::Watermark(Watermark::Progress {
                chain,
                chain_id,
                contract,
                through,
                recent: vec![through],
                finalized: through.number,
                events: None,
                digest: None,
                after: None,
            }))
        };
        self.beyond.into_iter().filter_map(progress)
    }
}

/// A bar on a terminal; elsewhere, nothing.
pub(super) fn bar() -> ProgressBar {
    ProgressBar::new_spinner().with_message("messages read")
}
