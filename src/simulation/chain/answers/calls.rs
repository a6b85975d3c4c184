//! Calls without a transaction.

use alloy::primitives::{Address, Bytes, U64};
use serde::Deserialize;

use super::{Answer, Asked, Chain, ErrorObject, raw};
use crate::simulation::chain::{
    block::GAS_LIMIT,
    contracts::{Call, Done, Reverted, run},
    transaction::intrinsic,
};

/// What is called, as far as it matters here.
#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    from: Option<Address>,
    #[serde(default)]
    to: Option<Address>,
    #[serde(default, alias = "data")]
    input: Option<Bytes>,
    #[serde(default)]
    gas: Option<U64>,
}

impl Chain {
    pub(super) fn call(&self, asked: &Asked<'_>) -> Answer {
        let request: Request = asked.at(0)?;
        let done = self.try_out(asked, &request)?.map_err(reverted)?;
        Ok(raw(&done.output))
    }

    /// Exactly what it would use: what changes until it is mined may need more.
    pub(super) fn estimate_gas(&self, asked: &Asked<'_>) -> Answer {
        let request: Request = asked.at(0)?;
        let done = self.try_out(asked, &request)?.map_err(reverted)?;
        let needed = intrinsic(request.input.as_deref().map_or(&[], |input| &input[..]))
            .saturating_add(done.gas);
        let allowed = request.gas.map_or(GAS_LIMIT, |gas| gas.to::<u64>().min(GAS_LIMIT));
        if needed > allowed {
            return Err(ErrorObject::plain(format!("gas required exceeds allowance ({allowed})")));
        }
        Ok(raw(&U64::from(needed)))
    }

    fn try_out(
        &self,
        asked: &Asked<'_>,
        request: &Request,
    ) -> Result<Result<Done, Reverted>, ErrorObject> {
        let (state, block) = self.state_named(asked, 1)?;
        // An answer about the question, so that nobody else is asked it again.
        let Some(to) = request.to else {
            return Err(ErrorObject::plain("creation code is not run here"));
        };
        let from = request.from.unwrap_or_default();
        let input: &[u8] = request.input.as_ref().map_or(&[], |input| &input[..]);
        Ok(run(state, &self.at, &Call { from, to, input, block }))
    }
}

fn reverted(data: Reverted) -> ErrorObject {
    let data = serde_json::to_value(data).ok();
    ErrorObject { code: 3, message: "execution reverted".to_owned(), data }
}
