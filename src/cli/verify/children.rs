//! Which logs a contract has: of one that a factory creates, those of all
//! addresses that the factory's own logs name.

use std::sync::Arc;

use alloy::primitives::Address;
use futures::{FutureExt as _, future::LocalBoxFuture};
use serde_json::Value as Json;

use super::{
    super::{
        Failure,
        asker::Asker,
        span::{Range, cut},
    },
    task::Task,
};
use crate::{
    actors::contract::ContractActor,
    chain::{
        adapters::{Adapter, Decoded, LogContext},
        census::Children,
        feed::share::Watched,
    },
    config::{Contract, Creation, Place},
    domain::BlockRef,
};

/// What to look for up to a block.
pub(super) fn watched<'a>(
    task: &'a Task<'_>,
    asker: &'a Asker,
    contract: &'a Contract,
    adapter: &'a Adapter,
    to: u64,
) -> LocalBoxFuture<'a, Result<Watched, Failure>> {
    async move {
        let as_such = ContractActor::watched(contract, adapter);
        let Place::CreatedBy(creation) = &contract.place else { return Ok(as_such) };
        let children = Arc::new(children(task, asker, creation, to).await?);
        let topics0 = as_such.filter().topics0.clone();
        Ok(Watched::created(as_such.name, as_such.confirmations, topics0, &children))
    }
    .boxed_local()
}

async fn children(
    task: &Task<'_>,
    asker: &Asker,
    Creation { contract, event, field }: &Creation,
    to: u64,
) -> Result<Children, Failure> {
    let found = task.config.contract(contract).zip(task.plan.adapters.get(contract));
    let Some((factory, adapter)) = found else { return Ok(Children::new()) };
    let logs_of = watched(task, asker, factory, adapter, to).await?;
    let mut children = Children::new();
    let from = factory.start_block;
    let ranges = if from <= to { cut(Range { from, to }, task.chain.max_range) } else { vec![] };
    for range in ranges {
        let logs = asker.logs(logs_of.filter(), range).await.map_err(Failure::failed)?;
        for log in logs.iter().filter(|log| logs_of.has(log)) {
            let number = log.block_number.unwrap_or_default();
            let (hash, time) = (log.block_hash.unwrap_or_default(), 0);
            let context = LogContext {
                chain: task.chain.name.clone(),
                chain_id: task.chain.chain_id,
                contract: contract.clone(),
                ordinal: 0,
                block: BlockRef { number, hash, parent_hash: hash, time },
            };
            let Ok(Decoded::Event(told)) = adapter.decode(&context, log) else { continue };
            let child = told.fields.get(field).and_then(Json::as_str);
            let child = child.and_then(|text| text.parse::<Address>().ok());
            if let Some(child) = child.filter(|_| told.name == *event) {
                let first = children.entry(child).or_insert(number);
                *first = (*first).min(number);
            }
        }
    }
    Ok(children)
}
