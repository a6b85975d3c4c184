//! History as the daemon's stream has it.

use std::collections::BTreeSet;

use indicatif::ProgressBar;

use super::{
    super::{Failure, reading::each},
    HistoryArgs, Setting,
    endpoint::Answers,
    trial::Trial,
};
use crate::{
    actors::{
        hearing::{Heard, Unheard, hear},
        messages,
    },
    daemon,
    domain::{Name, Rewind},
    fold::{Account, Counts, Input},
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
        let contract = setting.config.contract(name)?;
        Some((contract.chain.clone(), name.clone()))
    };
    let named: Vec<(Name, Name)> = contracts.iter().filter_map(of_chain).collect();
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
    let mut account = Account::new(rewinds, &Counts::new());
    let mut answers = Answers::of(setting);
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
                Ok(Heard::Void | Heard::Rewind(_)) | Err(Unheard::Unreadable(_)) => {
                    return Ok(true);
                }
                Err(Unheard::Hole(hole)) => return Err(Failure::failed(hole)),
            };
            if !is_within(&input, args) {
                return Ok(true);
            }
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

/// Whether something is of the blocks that are asked for. Watermarks beyond them
/// would let time pass that is not.
fn is_within(input: &Input, args: &HistoryArgs) -> bool {
    let (block, is_event) = match input {
        Input::Event(event) => (event.block.number, true),
        Input::Watermark(watermark) => (watermark.complete_through().number, false),
    };
    let begun = !is_event || args.from_block.is_none_or(|from| block >= from);
    begun && args.to_block.is_none_or(|to| block <= to)
}

/// A bar on a terminal; elsewhere, nothing.
pub(super) fn bar() -> ProgressBar {
    ProgressBar::new_spinner().with_message("messages read")
}
