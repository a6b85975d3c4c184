//! What holds for every history.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fold::JsonPaths as _;
use crate::governance::{ProposalState, Weights, queries};

const NFTS: [&str; 3] = ["nft-a", "nft-b", "nft-c"];

fn rules() -> Vec<BenefitRule> {
    vec![
        rule("a", "nft-a", 12_500, Stack::Max, None),
        rule("b", "nft-b", 17_000, Stack::Max, Some(19_000)),
        rule("c", "nft-c", 13_333, Stack::Sum, None),
    ]
}

/// One log: who, what, and with how much.
#[derive(Clone, Debug)]
enum Log {
    Vote { id: u64, voter: u8, support: u8, weight: u64 },
    Move { nft: usize, to: u8, token: u64 },
    Burn { nft: usize, token: u64 },
    Queue { id: u64 },
    Cancel { id: u64 },
    Learn { id: u64, quorum: u64 },
    Pass { blocks: u64 },
}

fn a_log() -> impl Strategy<Value = Log> {
    let id = 0..3_u64;
    prop_oneof![
        8 => (id.clone(), 1..6_u8, 0..3_u8, any::<u64>())
            .prop_map(|(id, voter, support, weight)| Log::Vote { id, voter, support, weight }),
        6 => (0..3_usize, 1..6_u8, 0..5_u64)
            .prop_map(|(nft, to, token)| Log::Move { nft, to, token }),
        2 => (0..3_usize, 0..5_u64).prop_map(|(nft, token)| Log::Burn { nft, token }),
        1 => id.clone().prop_map(|id| Log::Queue { id }),
        1 => id.clone().prop_map(|id| Log::Cancel { id }),
        2 => (id, any::<u64>()).prop_map(|(id, quorum)| Log::Learn { id, quorum }),
        2 => (1..4_u64).prop_map(|blocks| Log::Pass { blocks }),
    ]
}

fn play(history: &mut History, log: &Log) {
    match *log {
        Log::Vote { id, voter, support, weight } => history.vote(id, voter, support, weight),
        Log::Move { nft, to, token } => history.mint(NFTS[nft], to, token),
        Log::Burn { nft, token } => {
            let fields = json!({ "from": person(1), "token_id": text(token) });
            history.log(NFTS[nft], "burned", fields)
        }
        Log::Queue { id } => history.queue(id, 5),
        Log::Cancel { id } => history.cancel(id),
        Log::Learn { id, quorum } => {
            history.learn(id, quorum);
            history
        }
        Log::Pass { blocks } => history.begin(history.block + blocks),
    };
}

/// Three proposals that open and close at different blocks, at block 11.
fn begun() -> History {
    let mut history = History::of(rules());
    history.begin(1).create(0, 10, 15).create(1, 10, 30).create(2, 12, 18).begin(11);
    history
}

/// The multiplier by its definition, from who owns each token.
fn naive_multiplier(owners: &BTreeMap<(usize, u64), u8>, holder: u8) -> u32 {
    let holds = |nft| owners.iter().any(|((of, _), owner)| *of == nft && *owner == holder);
    let max = if holds(1) {
        7_000
    } else if holds(0) {
        2_500
    } else {
        0
    };
    let total = 10_000 + max + if holds(2) { 3_333 } else { 0 };
    if holds(1) { total.min(19_000) } else { total }
}

proptest! {
    #[test]
    fn tallies_equal_a_naive_recount(logs in prop::collection::vec(a_log(), 0..80)) {
        let mut history = begun();
        for log in &logs {
            play(&mut history, log);
        }
        for id in 0..3 {
            let mut cast = [U256::ZERO; 3];
            let mut effective = [U256::ZERO; 3];
            let mut voters = BTreeSet::new();
            for vote in history.votes().iter().filter(|vote| vote.proposal_id == U256::from(id)) {
                let support = usize::from(vote.support);
                cast[support] += vote.weight;
                effective[support] +=
                    vote.weight * U256::from(vote.benefits.multiplier_bps) / U256::from(10_000);
                voters.insert(vote.voter);
            }
            let (proposal, records) = queries::proposal(&history.state, U256::from(id)).unwrap();
            let of = |[against, in_favour, abstain]: [U256; 3]| Weights { against, in_favour, abstain };
            prop_assert_eq!(proposal.tallies.cast, of(cast));
            prop_assert_eq!(proposal.tallies.effective, of(effective));
            prop_assert_eq!(proposal.tallies.voters, voters.len() as u64);
            if proposal.state != ProposalState::Active {
                prop_assert!(records.is_empty());
                continue;
            }
            prop_assert_eq!(records.len(), voters.len());
            let summed = records.iter().fold(Weights::default(), |sum, r| sum.plus(&r.vote.cast));
            prop_assert_eq!(summed, proposal.tallies.cast);
        }
    }

    #[test]
    fn benefits_equal_a_naive_recount_of_holdings(logs in prop::collection::vec(a_log(), 0..80)) {
        let mut history = begun();
        let mut owners = BTreeMap::new();
        for log in &logs {
            let told = history.benefit_changes().len();
            let votes = history.votes().len();
            let before: Vec<_> = (1..6).map(|h| queries::benefits(&history.state, address(h))).collect();
            play(&mut history, log);
            match *log {
                Log::Move { nft, to, token } => { owners.insert((nft, token), to); }
                Log::Burn { nft, token } => { owners.remove(&(nft, token)); }
                _ => {}
            }
            for holder in 1..6_u8 {
                let now = queries::benefits(&history.state, address(holder));
                let multiplier = now.as_ref().map_or(10_000, |b| b.multiplier_bps);
                prop_assert_eq!(multiplier, naive_multiplier(&owners, holder));
                let held: u64 = now.iter().flat_map(|b| &b.sources).map(|source| source.held).sum();
                prop_assert_eq!(held, owners.values().filter(|o| **o == holder).count() as u64);
                let changes = history.benefit_changes();
                let change = changes[told..].iter().find(|c| c.holder == address(holder));
                let differs = before[usize::from(holder) - 1] != now;
                prop_assert_eq!(change.is_some(), differs);
            }
            if let Some(vote) = history.votes().get(votes) {
                let at = vote.voter.0[0];
                prop_assert_eq!(vote.benefits.multiplier_bps, naive_multiplier(&owners, at));
            }
        }
    }

    #[test]
    fn what_was_undone_was_never_applied(
        kept in prop::collection::vec(a_log(), 0..30),
        orphaned in prop::collection::vec(a_log(), 0..30),
        replaced in prop::collection::vec(a_log(), 0..30),
    ) {
        let mut straight = begun();
        let mut reorged = begun();
        for log in &kept {
            play(&mut straight, log);
            play(&mut reorged, log);
        }
        let (snapshot, block, log) = (everything(&reorged.state), reorged.block, reorged.log);
        for log in &orphaned {
            play(&mut reorged, log);
        }
        restore(&mut reorged.state, &snapshot);
        (reorged.block, reorged.log) = (block, log);
        straight.output.clear();
        reorged.output.clear();
        for log in &replaced {
            play(&mut straight, log);
            play(&mut reorged, log);
        }
        prop_assert_eq!(everything(&straight.state), everything(&reorged.state));
        prop_assert_eq!(straight.output, reorged.output);
    }

    #[test]
    fn an_index_names_exactly_the_proposals_that_are_due(
        logs in prop::collection::vec(a_log(), 0..60),
    ) {
        let mut history = begun();
        for log in &logs {
            play(&mut history, log);
            let asked: Vec<_> = queries::asks(&history.state, Counting::Standard);
            for proposal in queries::proposals(&history.state) {
                use crate::governance::ProposalState::{Active, AwaitingQuorum, Pending};
                let due = match proposal.state {
                    Pending => Some(proposal.snapshot),
                    Active => Some(proposal.deadline),
                    AwaitingQuorum => proposal.quorum.map(|_| 0),
                    _ => None,
                };
                let id = proposal.proposal_id;
                let suffix = format!("/{id}");
                let keys: Vec<_> =
                    history.state.keys("open/").filter(|key| key.ends_with(&suffix)).collect();
                let expected: Vec<_> =
                    due.map(|due| format!("open/{due:020}/{id}")).into_iter().collect();
                prop_assert_eq!(keys, expected);
                let needs = matches!(proposal.state, Active | AwaitingQuorum)
                    && proposal.quorum.is_none();
                prop_assert_eq!(asked.contains(&(id, Ask::Quorum { snapshot: proposal.snapshot })), needs);
            }
        }
    }
}
