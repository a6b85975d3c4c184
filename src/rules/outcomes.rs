//! What becomes of proposals, as events that rules can count: no contract emits
//! how a vote ended.
//!
//! | event | fields | when, whose log |
//! | --- | --- | --- |
//! | `proposal_ended` | `proposal_id`, `proposer`, `outcome`, `votes_for`, `votes_against`, `votes_abstain`, `voters` | voting is over; the proposal's creation |
//! | `vote_due` | `proposal_id`, `voter`, `proposer`, `outcome`, `weight`, `voted` | after that, for each who had votes at the snapshot; the proposal's creation |
//! | `vote_settled` | `proposal_id`, `voter`, `proposer`, `support`, `weight`, `outcome`, `won` | after that, for each voter; the voter's last vote |

use alloy::primitives::{Address, B256};
use serde_json::{Value as Json, json};

use super::{
    memory::{self, Counted, Key, State},
    model::RuleSet,
    proposals::{Ballot, Followed, Settlement},
};
use crate::{
    domain::{
        BlockRef, Event, EventSchema, FieldMap, FieldSchema, FieldType, Name, Origin, Position,
    },
    governance::Weights,
};

/// Voting on a proposal is over.
pub(super) const ENDED: &str = "proposal_ended";
/// That somebody could have voted on a proposal that is over.
pub(super) const DUE: &str = "vote_due";
/// A vote on a proposal that is over.
pub(super) const SETTLED: &str = "vote_settled";

/// The events that a governor's proposals give beside those that it emits; one more
/// where it is known whose votes it counts.
#[must_use]
pub fn outcome_events(knows_votes: bool) -> Vec<EventSchema> {
    use FieldType::{Address, Bool, Text, Uint};
    let schema = |name: &str, fields: &[(&str, FieldType)]| {
        let field = |(name, field_type): &(&str, FieldType)| FieldSchema {
            name: (*name).to_owned(),
            field_type: field_type.clone(),
        };
        let name = Name::new(name).ok()?;
        Some(EventSchema { name, fields: fields.iter().map(field).collect() })
    };
    let common = [("proposal_id", Uint), ("proposer", Address), ("outcome", Text)];
    let ended =
        [("votes_for", Uint), ("votes_against", Uint), ("votes_abstain", Uint), ("voters", Uint)];
    let settled = [("voter", Address), ("support", Text), ("weight", Uint), ("won", Bool)];
    let due = [("voter", Address), ("weight", Uint), ("voted", Bool)];
    let due = knows_votes.then(|| schema(DUE, &[common.as_slice(), &due].concat()));
    let schemas = [
        schema(ENDED, &[common.as_slice(), &ended].concat()),
        schema(SETTLED, &[common.as_slice(), &settled].concat()),
    ];
    schemas.into_iter().chain(due).flatten().collect()
}

/// Whether an event is one that follows from a governor's proposals.
pub(super) fn is_outcome(event: &str) -> bool {
    [ENDED, DUE, SETTLED].contains(&event)
}

impl RuleSet {
    /// The events of a settlement with the logs behind them, in the order of the
    /// voters after the proposal.
    pub(super) fn outcome(
        &self,
        settlement: &Settlement,
        state: &mut State,
    ) -> Vec<(Event, Counted)> {
        let Some(followed) = self.followed.get(settlement.place as usize) else {
            return Vec::new();
        };
        let proposal_id = settlement.proposal_id;
        let outcome = if settlement.succeeded { "succeeded" } else { "defeated" };
        let proposer = settlement.proposer.to_checksum(None);
        let common = json!({
            "proposal_id": proposal_id.to_string(),
            "proposer": proposer,
            "outcome": outcome,
        });
        let mut events = Vec::new();
        let created: Option<Counted> =
            memory::read(state, &Key::Proposed(followed.place, proposal_id.into()));
        if let Some(created) = created {
            let fields = json!({
                "votes_for": settlement.cast.in_favour.to_string(),
                "votes_against": settlement.cast.against.to_string(),
                "votes_abstain": settlement.cast.abstain.to_string(),
                "voters": settlement.voters.to_string(),
            });
            let event = derived(followed, ENDED, settlement.time, &created, [&common, &fields]);
            events.extend(event.map(|event| (event, created.clone())));
            let snapshot = followed.take_snapshot(state, proposal_id);
            for (voter, votes) in snapshot.map_or_else(Vec::new, |at| followed.powers(state, at)) {
                let voted = followed.has_voted(state, proposal_id, voter);
                let fields = json!({
                    "voter": voter.to_checksum(None),
                    "weight": votes.to_string(),
                    "voted": voted,
                });
                let event = derived(followed, DUE, settlement.time, &created, [&common, &fields]);
                events.extend(event.map(|event| (event, created.clone())));
            }
        }
        for (voter, ballot) in followed.ballots(proposal_id, state) {
            let Ballot { log, against, in_favour, abstain } = ballot;
            let support = match in_favour.max(against) {
                most if abstain > most || in_favour == against => "abstain",
                most if most == in_favour => "for",
                _ => "against",
            };
            let won = if settlement.succeeded { "for" } else { "against" };
            let weight = Weights { against, in_favour, abstain }.total();
            let fields = json!({
                "voter": voter.to_checksum(None),
                "support": support,
                "weight": weight.to_string(),
                "won": support == won,
            });
            let event = derived(followed, SETTLED, settlement.time, &log, [&common, &fields]);
            events.extend(event.map(|event| (event, log)));
        }
        events
    }
}

/// An event that no log has: at its time, and otherwise where the log is that it
/// follows from.
fn derived(
    followed: &Followed,
    name: &str,
    time: u64,
    log: &Counted,
    fields: [&Json; 2],
) -> Option<Event> {
    let item = log.item();
    let fields: FieldMap = fields
        .into_iter()
        .filter_map(Json::as_object)
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let block =
        BlockRef { number: item.block, hash: item.block_hash, parent_hash: B256::ZERO, time };
    Some(Event {
        id: item.event,
        origin: Origin {
            chain_id: item.chain_id,
            transaction_hash: item.transaction_hash,
            ordinal: 0,
        },
        chain: followed.governor.clone(),
        contract: followed.governor.clone(),
        address: Address::ZERO,
        name: Name::new(name).ok()?,
        position: Position { time, ..log.position() },
        block,
        fields,
    })
}
