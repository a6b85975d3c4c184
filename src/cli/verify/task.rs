//! What is to be verified: which contracts, and which of their blocks.

use super::{
    super::{
        Failure,
        span::{Range, cut, draw},
    },
    VerifyArgs,
    stream::Announced,
};
use crate::{
    chain::adapters::Adapter,
    config::{self, Config},
    daemon::Plan,
    domain::Name,
};

/// Widest range of a sample, blocks: each of its blocks is proved.
const SAMPLED_BLOCKS: u64 = 64;

/// What is to be done.
pub(super) struct Task<'a> {
    pub(super) args: &'a VerifyArgs,
    pub(super) config: &'a Config,
    pub(super) plan: &'a Plan,
    pub(super) chain: &'a config::Chain,
    pub(super) contracts: Vec<(&'a config::Contract, &'a Adapter)>,
    pub(super) seed: u64,
}

impl<'a> Task<'a> {
    /// What the arguments ask for.
    pub(super) fn of(
        args: &'a VerifyArgs,
        config: &'a Config,
        plan: &'a Plan,
    ) -> Result<Self, Failure> {
        let listed = |names: Vec<&Name>| {
            names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let chain = config.chain(&args.chain).ok_or_else(|| {
            let known = config.chains.iter().map(|chain| &chain.name).collect();
            let known = listed(known);
            Failure::Usage(format!("--chain {}: there is none; known: {known}", args.chain))
        })?;
        let of_chain: Vec<_> =
            config.contracts.iter().filter(|contract| contract.chain == chain.name).collect();
        for name in &args.contracts {
            if of_chain.iter().all(|contract| contract.name != *name) {
                let known = listed(of_chain.iter().map(|contract| &contract.name).collect());
                return Err(Failure::Usage(format!(
                    "--contract {name}: chain {} has none; known: {known}",
                    chain.name
                )));
            }
        }
        let contracts = of_chain
            .into_iter()
            .filter(|c| args.contracts.is_empty() || args.contracts.contains(&c.name))
            .filter_map(|contract| Some((contract, plan.adapters.get(&contract.name)?)))
            .collect();
        // Short enough to be typed again.
        let seed = args.seed.unwrap_or_else(|| rand::random::<u32>().into());
        Ok(Self { args, config, plan, chain, contracts, seed })
    }

    /// The blocks of a contract that both sides should agree on.
    pub(super) fn span(&self, contract: &config::Contract, announced: &Announced) -> Option<Range> {
        let whole = Range { from: contract.start_block, to: announced.through.number };
        let (from, to) = (self.args.from_block, self.args.to_block);
        let asked = Range { from: from.unwrap_or(0), to: to.unwrap_or(u64::MAX) };
        if whole.from > whole.to { None } else { whole.and(asked) }
    }

    /// Which of them are looked at.
    pub(super) fn ranges(&self, span: Range) -> Vec<Range> {
        match self.args.sample {
            Some(count) => {
                let width = self.chain.max_range.min(SAMPLED_BLOCKS);
                draw(span, width, count.get(), self.seed)
            }
            None => cut(span, self.chain.max_range),
        }
    }
}
