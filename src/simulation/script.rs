//! What happens in a simulation: drawn from a seed, or written down.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde::{Deserialize, Serialize};

use super::{
    node::Manner,
    setup::{ENDPOINTS, MEMBERS},
};

/// Everything that happens to the daemon and its world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// What chance is drawn from while it plays.
    pub seed: u64,
    /// Whether receipts prove logs; else blooms tell what they can.
    pub receipts: bool,
    /// In order of time.
    pub events: Vec<Event>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, milliseconds after the start.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A member proposes something.
    Propose(u8),
    /// A member votes on a proposal, counted from 0.
    Vote {
        /// Which member.
        member: u8,
        /// On which.
        proposal: usize,
        /// How.
        support: u8,
        /// By the event with parameters.
        params: bool,
    },
    /// A member gets a badge.
    Badge(u8),
    /// A badge, counted from 1, is passed on.
    Pass(u64, u8),
    /// A member contributes so much.
    Contribute(u8, u64),
    /// Blocks are replaced by others.
    Reorg {
        /// How many.
        depth: u64,
        /// What becomes of their transactions: lost, in the same order, in another.
        fate: Fate,
        /// The new branch is longer at once; else it grows block by block.
        at_once: bool,
    },
    /// Nodes forget what waits.
    ForgetPool,
    /// The next block costs so much, in gwei.
    BaseFee(u64),
    /// Another program with the signer's key uses a nonce.
    ForeignNonce,
    /// The achievements contract takes nothing for so long.
    PauseContract(u64),
    /// The daemon is killed, and started after so many milliseconds.
    Kill(u64, Loss),
    /// The broker ends, and is back after so many milliseconds.
    BrokerDown(u64, Loss),
    /// It does not answer for so long.
    BrokerPaused(u64),
    /// Of a thousand of its answers, so many are lost, for so long.
    BrokerLosesAnswers(u32, u64),
    /// A message in a stream is lost: which stream, and which of its last ones.
    MessageLost(u8, u64),
    /// A stream is deleted.
    StreamDeleted(u8),
    /// An endpoint behaves so, for so many milliseconds.
    Endpoint(usize, Manner, u64),
    /// The disk is full for so long.
    DiskFull(u64),
    /// Copies of the store and of the broker's folder are put aside.
    Copies,
    /// The system's clock jumps by so many seconds.
    ClockJumps(i64),
}

/// What becomes of orphaned transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// Nobody has them any more.
    Lost,
    /// They are mined again.
    SameOrder,
    /// They are mined again in another order.
    Reversed,
}

/// What is lost as something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Nothing that was written.
    Nothing,
    /// What was not synced.
    Unsynced,
    /// It starts from the copy that was put aside, if there is one.
    SinceCopy,
    /// All.
    Everything,
}

/// How long members act and faults happen, in milliseconds.
const LENGTH_MS: u64 = 90_000;

impl Script {
    /// Draws what happens. Each seed has some kinds of faults and not others: what is
    /// always there hides what happens without it.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let chance = &mut chance;
        let receipts = chance.random_bool(0.5);
        let mut events = Vec::new();
        acts(chance, &mut events);
        let kinds: [fn(&mut StdRng) -> What; 9] =
            [kill, kill, broker, stream, endpoint, endpoint, reorg, market, disk];
        let present: Vec<_> = kinds.into_iter().filter(|_| chance.random_bool(0.6)).collect();
        let many = chance.random_range(3..=30);
        for _ in 0..many {
            let Some(kind) = present.choose(chance) else { break };
            events.push(Event { at_ms: chance.random_range(0..LENGTH_MS), what: kind(chance) });
        }
        let stays = if chance.random_bool(0.5) { Staying::Store } else { Staying::Streams };
        events.retain_mut(|event| stays.lets(&mut event.what));
        events.sort_by_key(|event| event.at_ms);
        at_most_one_lies(&mut events);
        if !receipts {
            only_what_blooms_tell(&mut events);
        }
        Self { seed, receipts, events }
    }

    /// Leaves out what a failure does not need: ever smaller parts of the script, as long
    /// as it fails without them.
    #[must_use]
    pub fn shrunk(self, fails: impl Fn(&Self) -> bool) -> Self {
        let mut script = self;
        let mut part = script.events.len().div_ceil(2);
        while part > 0 {
            let mut at = 0;
            while at < script.events.len() {
                let mut less = script.clone();
                let end = (at + part).min(less.events.len());
                less.events.drain(at..end);
                if fails(&less) {
                    script = less;
                } else {
                    at = end;
                }
            }
            part /= 2;
        }
        script
    }
}

/// Of the store and the streams one may be lost: what neither remembers, nobody knows.
#[derive(Clone, Copy)]
enum Staying {
    Store,
    Streams,
}

impl Staying {
    fn lets(self, what: &mut What) -> bool {
        match (self, what) {
            (Self::Store, What::Kill(_, loss @ (Loss::SinceCopy | Loss::Everything))) => {
                *loss = Loss::Nothing;
            }
            (Self::Streams, What::BrokerDown(_, loss)) => *loss = Loss::Nothing,
            (Self::Streams, What::StreamDeleted(_)) => return false,
            _ => {}
        }
        true
    }
}

fn acts(chance: &mut StdRng, events: &mut Vec<Event>) {
    let (mut proposals, mut badges) = (0, 0);
    let mut at_ms = 0;
    while at_ms < LENGTH_MS {
        at_ms += chance.random_range(300..=4_000);
        let member = chance.random_range(1..=MEMBERS);
        let what = match chance.random_range(0..10) {
            0 | 1 if proposals < 6 => {
                proposals += 1;
                What::Propose(member)
            }
            0..=4 if proposals > 0 => What::Vote {
                member,
                proposal: chance.random_range(0..proposals),
                support: chance.random_range(0..3),
                params: chance.random_bool(0.2),
            },
            5 | 6 => {
                badges += 1;
                What::Badge(member)
            }
            7 if badges > 0 => What::Pass(chance.random_range(1..=badges), member),
            _ => What::Contribute(member, chance.random_range(0..60)),
        };
        events.push(Event { at_ms, what });
    }
}

fn loss(chance: &mut StdRng) -> Loss {
    match chance.random_range(0..10) {
        0 => Loss::Everything,
        1 | 2 => Loss::SinceCopy,
        3 => Loss::Unsynced,
        _ => Loss::Nothing,
    }
}

fn kill(chance: &mut StdRng) -> What {
    let down_ms = chance.random_range(0..=6_000);
    What::Kill(down_ms, loss(chance))
}

fn broker(chance: &mut StdRng) -> What {
    let for_ms = chance.random_range(50..=9_000);
    match chance.random_range(0..4) {
        0 => What::BrokerPaused(for_ms),
        1 => What::BrokerLosesAnswers(chance.random_range(10..=300), for_ms),
        _ => What::BrokerDown(for_ms, loss(chance)),
    }
}

fn stream(chance: &mut StdRng) -> What {
    let stream = chance.random_range(0..4);
    match chance.random_range(0..4) {
        0 => What::StreamDeleted(stream),
        1 => What::MessageLost(0, chance.random_range(0..40)),
        _ => What::Copies,
    }
}

fn endpoint(chance: &mut StdRng) -> What {
    let manner = match chance.random_range(0..19) {
        0 => Manner::Slow(chance.random_range(100..=8_000)),
        1 => Manner::Silent,
        2 => Manner::Status(*[429, 500, 503, 403].choose(chance).unwrap_or(&500)),
        3 => Manner::Truncates,
        4 => Manner::Lags(chance.random_range(1..=10)),
        5 => Manner::RefusesRanges(chance.random_range(1..=20)),
        6 => Manner::Fails(chance.random_range(50..=900)),
        7 | 8 => Manner::LosesSendAnswers,
        9 => Manner::Withholds,
        10 => Manner::Invents,
        11 => Manner::HidesReceipts,
        12 => Manner::FalseReceipts,
        13 => Manner::SaysKnown,
        14 => Manner::SaysTooLow,
        15 => Manner::WithholdsSome,
        16 => Manner::InventsWell,
        _ => Manner::PrivateFork(chance.random_range(1..=8)),
    };
    let for_ms = chance.random_range(1_000..=30_000);
    What::Endpoint(chance.random_range(0..ENDPOINTS), manner, for_ms)
}

fn reorg(chance: &mut StdRng) -> What {
    let fates = [Fate::Lost, Fate::SameOrder, Fate::Reversed];
    What::Reorg {
        depth: chance.random_range(1..=12),
        fate: *fates.choose(chance).unwrap_or(&Fate::Lost),
        at_once: chance.random_bool(0.5),
    }
}

fn market(chance: &mut StdRng) -> What {
    match chance.random_range(0..5) {
        0 => What::ForgetPool,
        1 => What::ForeignNonce,
        2 => What::PauseContract(chance.random_range(2_000..=20_000)),
        3 => What::ClockJumps(chance.random_range(-4_000..=4_000)),
        _ => What::BaseFee(chance.random_range(1..=150)),
    }
}

fn disk(chance: &mut StdRng) -> What {
    match chance.random_range(0..3) {
        0 => What::DiskFull(chance.random_range(500..=8_000)),
        _ => What::Copies,
    }
}

/// At the level of blooms, what they can't tell from the truth is believed.
fn only_what_blooms_tell(events: &mut [Event]) {
    for event in events {
        let What::Endpoint(_, manner, _) = &mut event.what else { continue };
        match manner {
            Manner::WithholdsSome => *manner = Manner::Withholds,
            Manner::InventsWell => *manner = Manner::Invents,
            _ => {}
        }
    }
}

/// Of three endpoints one may lie: where two would at once, the second is slow.
fn at_most_one_lies(events: &mut [Event]) {
    let mut lies_until = 0;
    for Event { at_ms, what } in events {
        let What::Endpoint(_, manner, for_ms) = what else { continue };
        if manner.is_lie() {
            if *at_ms < lies_until {
                *manner = Manner::Slow(500);
            } else {
                lies_until = *at_ms + *for_ms;
            }
        }
    }
}
