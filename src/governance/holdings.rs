//! Who holds what, from the logs of NFT and achievements contracts.

use alloy::primitives::{Address, U256};

use super::{
    BenefitRule, Benefits, Output,
    benefits::Holding,
    fields::Fields,
    keys,
    output::BenefitsChange,
    unusable::Unusable,
    wire::{Decimal, checksummed},
};
use crate::{
    domain::{Event, Name},
    fold::{JsonPaths as _, Paths, PathsMut},
};

/// Events of such contracts that don't change who holds what.
const WITHOUT_MEANING: &[&str] = &[
    "achievement_defined",
    "achievement_skipped",
    "admin_changed",
    "approval",
    "approval_for_all",
    "batch_metadata_update",
    "beacon_upgraded",
    "delegate_changed",
    "delegate_votes_changed",
    "issued",
    "locked",
    "metadata_update",
    "ownership_transfer_started",
    "ownership_transferred",
    "paused",
    "role_admin_changed",
    "role_granted",
    "role_revoked",
    "unlocked",
    "unpaused",
    "upgraded",
];

/// An address as it stands in state.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct Owner(#[serde(with = "checksummed")] Address);

/// Takes one event of a contract that `rules` name.
pub(super) fn apply(
    rules: &[BenefitRule],
    event: &Event,
    state: &mut dyn PathsMut,
    output: &mut Vec<Output>,
) -> Result<(), Unusable> {
    let fields = Fields(event);
    let mut step = Step { rules, event, state, output };
    match event.name.as_str() {
        "minted" | "transferred" => {
            let (to, token) = (fields.address("to")?, fields.uint("token_id")?);
            // ERC-721: a transfer to the zero address is a burn.
            step.move_token(token, (to != Address::ZERO).then_some(to));
        }
        "burned" => step.move_token(fields.uint("token_id")?, None),
        "achievement_unlocked" => {
            let id = Decimal(fields.uint("id")?);
            step.hold(fields.address("user")?, |holding| {
                holding.achievements.insert(id);
            });
        }
        "achievement_revoked" => {
            let id = Decimal(fields.uint("id")?);
            step.hold(fields.address("user")?, |holding| {
                holding.achievements.remove(&id);
            });
        }
        name if WITHOUT_MEANING.contains(&name) => {}
        _ => {
            let (contract, name) = (event.contract.clone(), event.name.clone());
            return Err(Unusable::UnknownEvent { contract, name });
        }
    }
    Ok(())
}

struct Step<'a> {
    rules: &'a [BenefitRule],
    event: &'a Event,
    state: &'a mut dyn PathsMut,
    output: &'a mut Vec<Output>,
}

impl Step<'_> {
    /// Gives a token to another holder, or to nobody.
    ///
    /// Who had it is read from what was folded, not from the event's `from`:
    /// a token minted before the contract was watched was never counted for
    /// anybody, so nothing may be taken from its former holder.
    fn move_token(&mut self, token: U256, to: Option<Address>) {
        let key = keys::owner(&self.event.contract, token);
        let from = self.state.get::<Owner>(&key).map(|owner| owner.0);
        if from == to {
            return;
        }
        match to {
            Some(to) => self.state.put(&key, &Owner(to)),
            None => self.state.remove(&key),
        }
        if let Some(from) = from {
            self.hold(from, |holding| holding.tokens = holding.tokens.saturating_sub(1));
        }
        if let Some(to) = to {
            self.hold(to, |holding| holding.tokens = holding.tokens.saturating_add(1));
        }
    }

    /// Changes what a holder has of the event's contract, and the benefits
    /// that follow.
    fn hold(&mut self, holder: Address, change: impl FnOnce(&mut Holding)) {
        let key = keys::holding(&self.event.contract, holder);
        let mut holding: Holding = self.state.get(&key).unwrap_or_default();
        change(&mut holding);
        if holding == Holding::default() {
            self.state.remove(&key);
        } else {
            self.state.put(&key, &holding);
        }
        self.settle(holder);
    }

    fn settle(&mut self, holder: Address) {
        let held = |rule: &BenefitRule| held(rule, &rule.nft, holder, self.state);
        let after =
            Benefits::of(self.rules.iter().map(|rule| (rule, held(rule))), self.event.position);
        let key = keys::benefits(holder);
        let before: Option<Benefits> = self.state.get(&key);
        let same = match &before {
            Some(before) => before.equal(&after),
            None => after.sources.is_empty(),
        };
        if same {
            return;
        }
        if after.sources.is_empty() {
            self.state.remove(&key);
        } else {
            self.state.put(&key, &after);
        }
        self.output.push(Output::BenefitsChanged(BenefitsChange { holder, before, after }));
    }
}

fn held(rule: &BenefitRule, contract: &Name, holder: Address, state: &dyn Paths) -> u64 {
    state.get(&keys::holding(contract, holder)).map_or(0, |holding: Holding| rule.held(&holding))
}
