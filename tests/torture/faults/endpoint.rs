//! Endpoints that fail, one after the other, and one that lies besides.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, Log, U256, keccak256},
    sol_types::SolEvent as _,
};
use meritd::cli::demo::{contracts::IInbox, world::World};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::support::endpoint::{
    self, Branch, Edit, Fault, ForgedLog, Lag, Reach, ReceiptLie, Refusal, Script,
    ScriptedEndpoint, When, Which,
};

const SEND: &str = "eth_sendRawTransaction";
const LIES_MS: std::ops::RangeInclusive<u64> = 1_000..=6_000;
/// Blocks from the head on in which logs are made up.
const INVENTED: u64 = 12;

/// Among equals the first is asked first. The others don't lie: who did is not asked for a
/// while, and somebody must be.
const LIAR: usize = 0;

/// What an endpoint says that is false, or leaves out: named as in the simulation.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Lags,
    LogsLag,
    LosesSendAnswers,
    Withholds,
    WithholdsSome,
    Invents,
    InventsWell,
    HidesReceipts,
    FalseReceipts,
    SaysKnown,
    SaysTooLow,
    PrivateFork,
}

impl Manner {
    /// What blooms can't tell from the truth is left to receipts.
    const TOLD_BY_BLOOMS: [Self; 10] = [
        Self::Lags,
        Self::LogsLag,
        Self::LosesSendAnswers,
        Self::Withholds,
        Self::Invents,
        Self::HidesReceipts,
        Self::FalseReceipts,
        Self::SaysKnown,
        Self::SaysTooLow,
        Self::PrivateFork,
    ];

    fn drawn(receipts: bool, chance: &mut StdRng) -> Self {
        if receipts && chance.random_bool(0.2) {
            return *[Self::WithholdsSome, Self::InventsWell].choose(chance).unwrap();
        }
        *Self::TOLD_BY_BLOOMS.choose(chance).unwrap()
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Lags => "endpoint_lags",
            Self::LogsLag => "endpoint_logs_lag",
            Self::LosesSendAnswers => "endpoint_loses_send_answers",
            Self::Withholds => "endpoint_withholds",
            Self::WithholdsSome => "endpoint_withholds_some",
            Self::Invents => "endpoint_invents",
            Self::InventsWell => "endpoint_invents_well",
            Self::HidesReceipts => "endpoint_hides_receipts",
            Self::FalseReceipts => "endpoint_false_receipts",
            Self::SaysKnown => "endpoint_says_known",
            Self::SaysTooLow => "endpoint_says_too_low",
            Self::PrivateFork => "endpoint_private_fork",
        }
    }

    fn script(self, world: &World, head: u64, chance: &mut StdRng) -> Script {
        let script = Script::honest().seed(chance.random());
        let refusing = |text: &str| {
            script.clone().refusal(When::always().on(SEND), Refusal::new(-32_000, text))
        };
        match self {
            Self::Lags => script.lag(Lag::by(chance.random_range(1..=10))),
            Self::LogsLag => script.lag(Lag::by(chance.random_range(1..=10)).of_logs_only()),
            // What was asked for has been done.
            Self::LosesSendAnswers => script.fault(When::always().on(SEND), Fault::Cut),
            Self::Withholds => script.lie(Edit::Withhold(half_of_the_blocks()), Reach::Logs),
            Self::WithholdsSome => {
                let which = Which::Share { share: 0.5, seed: chance.random() };
                script.lie(Edit::Withhold(which), reach(chance))
            }
            Self::Invents => {
                let stranger = Address::repeat_byte(0x99);
                invented(script, world, head, stranger, Reach::Logs)
            }
            Self::InventsWell => {
                let member = world.anvil.account(chance.random_range(1..=9));
                let reach = reach(chance);
                invented(script, world, head, member, reach)
            }
            Self::HidesReceipts => script.receipts(ReceiptLie::Hidden),
            Self::FalseReceipts => script.receipts(ReceiptLie::Failed),
            Self::SaysKnown => refusing("already known"),
            Self::SaysTooLow => refusing("nonce too low"),
            Self::PrivateFork => {
                let from = head.saturating_sub(chance.random_range(0..=8));
                script.branch(Branch::fork(from, "alone"))
            }
        }
    }
}

fn reach(chance: &mut StdRng) -> Reach {
    *[Reach::Logs, Reach::Receipts, Reach::Bloom].choose(chance).unwrap()
}

/// All logs of a block or none: its bloom tells.
fn half_of_the_blocks() -> Which {
    Which::those(|log| log.block_hash.is_some_and(|hash| keccak256(hash)[0] & 1 == 0))
}

/// Somebody contributes enough for an achievement, in each of the blocks to come.
fn invented(script: Script, world: &World, head: u64, who: Address, reach: Reach) -> Script {
    let data = IInbox::Contributed {
        member: who,
        topic: keccak256("pages"),
        amount: U256::from(1_000),
        note: "made up".into(),
    };
    let log = Log { address: world.inbox, data: data.encode_log_data() };
    let blocks = head.saturating_sub(2)..=head + INVENTED;
    blocks.fold(script, |script, block| {
        script.lie(Edit::Invent(ForgedLog { block, log: log.clone() }), reach)
    })
}

/// One at a time. Tells how often each kind was.
pub(super) async fn play(
    world: &World,
    endpoints: &[&ScriptedEndpoint],
    receipts: bool,
    seed: u64,
    end: Instant,
) -> BTreeMap<&'static str, u64> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut counts = BTreeMap::new();
    while Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        let (endpoint, kind) = if chance.random_bool(0.6) {
            let Ok(head) = world.anvil.block_number().await else { continue };
            let manner = Manner::drawn(receipts, &mut chance);
            let lasts = Duration::from_millis(chance.random_range(LIES_MS));
            endpoints[LIAR].set(manner.script(world, head, &mut chance));
            tokio::time::sleep(lasts.min(left)).await;
            (LIAR, manner.kind())
        } else {
            let place = chance.random_range(0..endpoints.len());
            let faults = endpoint::Faults::drawn(chance.random());
            let _ = tokio::time::timeout(left, endpoints[place].play(faults)).await;
            (place, "endpoint_fails")
        };
        endpoints[endpoint].set(Script::honest());
        endpoints[endpoint].release();
        *counts.entry(kind).or_default() += 1;
    }
    counts
}
