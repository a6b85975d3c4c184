//! Many acts, blocks and reorgs, one after the other.

use std::collections::BTreeSet;

use alloy::sol_types::SolEvent as _;

use super::{super::contracts::abi::IBadge, *};

/// A few numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn step(chain: &mut Chain, dice: &mut Dice, time: u64) {
    let who = member(1 + dice.below(6) as u8);
    let act = match dice.below(12) {
        0 => Act::Propose { who },
        1 | 2 => {
            let (proposal, support) = (dice.below(3) as usize, dice.below(3) as u8);
            Act::Vote { who, proposal, support, params: dice.below(2) == 0 }
        }
        3 => Act::MintBadge { to: who },
        4 => Act::PassBadge { token: 1 + dice.below(5), to: who },
        5 => Act::Contribute { who, amount: dice.below(100) },
        6 => Act::ForeignUnlock { user: who, id: 1 + dice.below(8) },
        7 => Act::ForeignNonce { from: key().address() },
        8 => {
            let nonce = chain.pool.next_nonce(key().address(), chain.nonce(key().address()));
            sent(chain, nonce, batch(&[who, member(9)]));
            return;
        }
        9 => {
            let fates = [Fate::Lost, Fate::SameOrder, Fate::Reversed];
            // The block that gives the key its funds stays.
            let depth = dice.below(5).min(chain.number() - 1);
            chain.reorg(depth, fates[dice.below(3) as usize]);
            return;
        }
        _ => {
            chain.mine(time, dice.below(6) as usize);
            return;
        }
    };
    chain.act(act);
}

fn walk(seed: u64) -> Chain {
    let (mut chain, mut dice) = (chain(), Dice(seed));
    for time in 0..400 {
        step(&mut chain, &mut dice, 2_000 + time);
    }
    chain
}

#[test]
fn whatever_was_orphaned_the_state_is_what_the_logs_say() {
    for seed in 0..20 {
        let chain = walk(seed);
        let (mut held, mut owners) = (BTreeSet::new(), BTreeMap::new());
        for log in chain.logs() {
            if let Ok(it) = IAchievements::AchievementUnlocked::decode_log(&log.inner) {
                assert!(held.insert((it.user, it.id.to::<u64>())), "unlocked twice, seed {seed}");
            }
            if let Ok(it) = IBadge::Transfer::decode_log(&log.inner) {
                assert_eq!(owners.insert(it.tokenId, it.to).unwrap_or_default(), it.from);
            }
        }
        for who in (1..10).map(member) {
            for id in 1..=8 {
                assert_eq!(chain.has(who, id), held.contains(&(who, id)), "seed {seed}");
            }
            let badges = owners.values().filter(|owner| **owner == who).count() as u64;
            assert_eq!(chain.badges(who), badges, "seed {seed}");
        }
        let sent = chain.blocks.iter().flat_map(|block| &block.transactions);
        let sent: Vec<_> = sent.map(|it| &it.transaction).collect();
        assert_eq!(chain.mined.len(), sent.len());
        let own = sent.iter().filter(|it| it.from == key().address());
        assert!(own.map(|it| it.envelope.nonce()).eq(0..chain.nonce(key().address())));
        for pair in chain.blocks.windows(2) {
            assert_eq!(pair[0].hash, pair[1].header.parent_hash);
        }
        assert_eq!(chain.by_hash.len(), chain.blocks.len());
    }
}

#[test]
fn the_same_steps_make_the_same_chain() {
    for seed in 0..3 {
        let (one, other) = (walk(seed), walk(seed));
        assert_eq!(one.head().map(|it| it.hash), other.head().map(|it| it.hash));
        assert!(one.logs().eq(other.logs()));
    }
}
