//! Whose votes a set follows to their end.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::Name,
    governance::{Clock, Governance, Settings},
    rules::{
        catalog::Catalog,
        document::{Errors, Table},
        error::Problem,
        memory,
        meter::Meter,
        model::ContractRef,
        outcomes,
        proposals::Followed,
        tree::{EventKind, Tally},
    },
};

/// All events that somebody looks at.
pub(super) fn asked_of<'m>(
    meters: &'m [Meter],
    tallies: &'m [Tally],
) -> impl Iterator<Item = &'m EventKind> {
    let tallied = tallies.iter().flat_map(|tally| &tally.kinds);
    meters.iter().flat_map(Meter::looks_at).chain(tallied)
}

/// The governors of which somebody asks how votes ended.
pub(super) fn followed(
    root: &Table<'_>,
    meters: &[Meter],
    tallies: &[Tally],
    read: &BTreeMap<Name, ContractRef>,
    catalog: &Catalog,
    errors: &mut Errors<'_>,
) -> Option<Vec<Followed>> {
    let asked = || asked_of(meters, tallies);
    let outcomes = asked().filter(|kind| outcomes::is_outcome(kind.event.as_str()));
    let governors: BTreeSet<&Name> = outcomes.map(|kind| &kind.contract).collect();
    let chains: BTreeSet<u64> = read.values().map(|contract| contract.chain_id).collect();
    let mut followed = Vec::new();
    for governor in governors {
        let known = catalog.contracts.get(governor)?;
        // Its own event of that name, of a contract that is no governor.
        let Some(clock) = known.clock else { continue };
        if clock == Clock::Block && chains.len() > 1 {
            let node = root.get("id")?;
            let problem = Problem::BlockClock { governor: governor.to_string() };
            let remedy = "give the rules about its outcomes a set of their own";
            errors.report(&node, problem, remedy);
            return None;
        }
        let settings = Settings {
            chain_id: known.chain_id,
            governor: governor.clone(),
            clock,
            // Voting is over before anything expires.
            grace_period_s: None,
            counting: known.counting,
            benefits: Vec::new(),
        };
        let governance = Governance::new(settings).ok()?;
        let due = asked().any(|it| it.contract == *governor && it.event.as_str() == outcomes::DUE);
        let votes = known.votes.clone().filter(|_| due);
        let (governor, chain_id) = (governor.clone(), known.chain_id);
        let place = memory::place(followed.len());
        followed.push(Followed { governor, place, chain_id, clock, votes, governance });
    }
    Some(followed)
}
