//! `eth_getLogs`: filters as the execution API's specification has them.

use alloy::primitives::{Address, B256, Log};
use serde::Deserialize;

use super::{
    chain::Chain,
    content::contract_at,
    methods::{Refusal, View},
    render::{Json, Place},
};

/// One value, a list of them, or anything.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    fn list(&self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// The parameter object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    #[serde(default)]
    from_block: Option<String>,
    #[serde(default)]
    to_block: Option<String>,
    #[serde(default)]
    block_hash: Option<B256>,
    #[serde(default)]
    address: Option<OneOrMany<Address>>,
    #[serde(default)]
    topics: Vec<Option<OneOrMany<B256>>>,
}

impl Filter {
    /// The blocks asked for.
    fn blocks(&self, chain: &Chain, view: View) -> Result<(u64, u64), Refusal> {
        if let Some(hash) = &self.block_hash {
            if self.from_block.is_some() || self.to_block.is_some() {
                return Err(Refusal::params("blockHash excludes fromBlock and toBlock"));
            }
            let number = chain.number_of(hash).filter(|number| *number <= view.head);
            return number
                .map(|number| (number, number))
                .ok_or(Refusal { code: -32_000, message: "unknown block".to_owned() });
        }
        let named = |which: &Option<String>, otherwise| match which {
            None => Ok(otherwise),
            Some(text) => view.number(text),
        };
        let (from, to) = (named(&self.from_block, view.head)?, named(&self.to_block, view.head)?);
        if from > to {
            return Err(Refusal::params("invalid block range params"));
        }
        Ok((from, to.min(view.head)))
    }

    fn topics(&self) -> Vec<Vec<B256>> {
        // Nothing at a place, or an empty list, is a wildcard.
        self.topics.iter().map(|at| at.as_ref().map_or(Vec::new(), OneOrMany::list)).collect()
    }

    /// Writes the logs that match; at most `most`, beyond which an endpoint
    /// refuses.
    pub fn write_logs(
        &self,
        chain: &Chain,
        view: View,
        most: usize,
        out: &mut Json,
    ) -> Result<usize, Refusal> {
        let (from, to) = self.blocks(chain, view)?;
        let shape = &chain.shape;
        let contracts: Option<Vec<u64>> = self.address.as_ref().map(|addresses| {
            let all = addresses.list();
            all.iter().filter_map(|address| contract_at(address, shape.contracts)).collect()
        });
        let anybodys = self.address.as_ref().is_none_or(|some| some.list().is_empty());
        let wanted =
            |contract| anybodys || contracts.as_ref().is_some_and(|some| some.contains(&contract));
        let topics = self.topics();
        let (start, mut count) = (out.0.len(), 0);
        out.0.push('[');
        for block in from..=to {
            for transaction in 0..shape.transactions_in(block) {
                let ordinal = shape.ordinal(block, transaction);
                if !wanted(shape.contract_of(ordinal)) {
                    continue;
                }
                let first = transaction * shape.logs_each;
                for (log_index, log) in (first..).zip(shape.logs(block, ordinal)) {
                    if !matches(&topics, &log) {
                        continue;
                    }
                    count += 1;
                    if count > most {
                        out.0.truncate(start);
                        return Err(too_many(from, block, most));
                    }
                    if count > 1 {
                        out.0.push(',');
                    }
                    let place = Place { block, transaction, ordinal, log: log_index };
                    chain.write_log(out, &log, place);
                }
            }
        }
        out.0.push(']');
        Ok(count)
    }
}

/// In the words of a well-known provider, who names the range that would do.
fn too_many(from: u64, block: u64, most: usize) -> Refusal {
    let to = block.saturating_sub(1).max(from);
    let message = format!(
        "query returned more than {most} results. Try with this block range [0x{from:x}, 0x{to:x}]."
    );
    Refusal { code: -32_005, message }
}

fn matches(wanted: &[Vec<B256>], log: &Log) -> bool {
    wanted.len() <= log.topics().len()
        && wanted
            .iter()
            .zip(log.topics())
            .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
}
