//! What holding something does to a vote's weight.

use std::collections::BTreeSet;

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};

use super::wire::{Decimal, configured_ids};
use crate::domain::{Name, Position};

/// How a rule's bonus goes together with those of other rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stack {
    /// Of all applicable rules of this kind only the largest bonus counts.
    #[default]
    Max,
    /// The bonus is added.
    Sum,
}

/// One benefit: who holds this votes with more weight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenefitRule {
    /// Names the benefit in messages.
    pub name: Name,
    /// Configured name of the NFT or achievements contract.
    pub nft: Name,
    /// Holding one of these achievements gives the benefit; only for an
    /// achievements contract. Without it any token or achievement of the
    /// contract does.
    #[serde(with = "configured_ids", default, skip_serializing_if = "Option::is_none")]
    pub achievement_ids: Option<Vec<U256>>,
    /// It is given to who holds at least so much of that: 1 or more.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub at_least: u64,
    /// What the holder may do, by names that mean something to whoever reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Name>,
    /// Multiplier of a vote's weight in basis points: 10000 = 1x. What is
    /// above 10000 is the rule's bonus. Holding several tokens gives it once.
    pub weight_multiplier_bps: u32,
    /// How the bonus goes together with others.
    #[serde(default)]
    pub stack: Stack,
    /// Bounds the multiplier that all rules together give to a holder to
    /// whom this rule applies, in basis points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_bps: Option<u32>,
}

fn one() -> u64 {
    1
}

// As serde wants it.
fn is_one(at_least: &u64) -> bool {
    *at_least == 1
}

impl BenefitRule {
    /// 1x in basis points.
    pub const ONE_BPS: u32 = 10_000;

    /// How much of what the rule asks for is held.
    pub(super) fn held(&self, holding: &Holding) -> u64 {
        let achievements = match &self.achievement_ids {
            Some(ids) => {
                let ids: BTreeSet<Decimal> = ids.iter().copied().map(Decimal).collect();
                holding.achievements.intersection(&ids).count()
            }
            None => holding.achievements.len(),
        };
        let achievements = u64::try_from(achievements).unwrap_or(u64::MAX);
        match self.achievement_ids {
            Some(_) => achievements,
            // A contract that reports a token and its achievement reports one thing.
            None => holding.tokens.max(achievements),
        }
    }
}

/// What a holder has of one contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holding {
    #[serde(default)]
    pub(super) tokens: u64,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) achievements: BTreeSet<Decimal>,
}

/// A rule that applies to a holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenefitSource {
    /// The rule's name.
    pub name: Name,
    /// How many tokens or achievements that it asks for are held: at least 1.
    pub held: u64,
}

/// A holder's benefits as of a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benefits {
    /// What a vote's weight is multiplied with, in basis points: at least
    /// 10000.
    pub multiplier_bps: u32,
    /// What the holder may do: all that the rules that apply grant, in order.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub grants: BTreeSet<Name>,
    /// The rules that apply, in the configuration's order.
    pub sources: Vec<BenefitSource>,
    /// In a vote: the vote's position. Elsewhere: the event that made them
    /// what they are.
    pub as_of: Position,
}

impl Benefits {
    /// Those of who holds nothing.
    #[must_use]
    pub fn none(as_of: Position) -> Self {
        let (grants, sources) = (BTreeSet::new(), Vec::new());
        Self { multiplier_bps: BenefitRule::ONE_BPS, grants, sources, as_of }
    }

    /// Whether they are the same, as of whatever position.
    #[must_use]
    pub fn are_as(&self, other: &Self) -> bool {
        let Self { multiplier_bps, grants, sources, as_of: _ } = self;
        (multiplier_bps, grants, sources) == (&other.multiplier_bps, &other.grants, &other.sources)
    }

    /// The benefits that rules give, each with how much of it is held.
    ///
    /// 1x, plus the largest bonus among [`Stack::Max`] rules, plus the
    /// bonuses of all [`Stack::Sum`] rules; then at most the smallest cap
    /// among the rules that apply (so that a rule's cap holds whatever else
    /// is held), and at most `u32::MAX`.
    pub(super) fn of<'a>(
        held: impl IntoIterator<Item = (&'a BenefitRule, u64)>,
        as_of: Position,
    ) -> Self {
        let (mut largest, mut sum, mut cap) = (0_u64, 0_u64, u32::MAX);
        let (mut sources, mut grants) = (Vec::new(), BTreeSet::new());
        for (rule, held) in held {
            if held < rule.at_least.max(1) {
                continue;
            }
            let bonus = u64::from(rule.weight_multiplier_bps.saturating_sub(BenefitRule::ONE_BPS));
            match rule.stack {
                Stack::Max => largest = largest.max(bonus),
                Stack::Sum => sum = sum.saturating_add(bonus),
            }
            cap = cap.min(rule.cap_bps.unwrap_or(u32::MAX));
            grants.extend(rule.grants.iter().cloned());
            sources.push(BenefitSource { name: rule.name.clone(), held });
        }
        let total = u64::from(BenefitRule::ONE_BPS).saturating_add(largest).saturating_add(sum);
        let multiplier_bps = u32::try_from(total).unwrap_or(u32::MAX).min(cap);
        Self { multiplier_bps, grants, sources, as_of }
    }

    /// Whether both give the same from the same, whenever they came to be.
    #[must_use]
    pub fn equal(&self, other: &Self) -> bool {
        self.multiplier_bps == other.multiplier_bps
            && self.grants == other.grants
            && self.sources == other.sources
    }

    /// A weight times the multiplier, rounded down; at most `U256::MAX`.
    #[must_use]
    pub fn apply_to(&self, weight: U256) -> U256 {
        let one = U256::from(BenefitRule::ONE_BPS);
        let multiplier = U256::from(self.multiplier_bps);
        // Split, so that a product past 256 bits comes only from a result past them.
        let (whole, rest) = weight.div_rem(one);
        whole.saturating_mul(multiplier).saturating_add(rest * multiplier / one)
    }
}
