//! What only changes with a block, asked once a head: the head's limits, what
//! the chain asks for gas, the key's balance.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, U256},
};
use tokio::time::Instant;

use super::{SignerActor, Trouble};
use crate::{
    actors::market::market, chain::answers::Header, domain::Urgency, signing::fees::Market,
};

/// Asked again after so long without a new head.
const FRESH: Duration = Duration::from_secs(3);

/// Answers under one followed head.
#[derive(Debug)]
pub(super) struct AtHead {
    followed: B256,
    at: Instant,
    header: Header,
    markets: BTreeMap<Urgency, Market>,
    balance: Option<U256>,
}

impl SignerActor {
    /// The answers that hold still; none while no head is followed.
    fn known(&mut self) -> Option<&mut AtHead> {
        let followed = self.spec.link.view.borrow().as_ref()?.latest.hash;
        let known = self.at_head.as_mut()?;
        (known.followed == followed && known.at.elapsed() < FRESH).then_some(known)
    }

    /// The newest block's header.
    pub(super) async fn head(&mut self) -> Result<Header, Trouble> {
        if let Some(known) = self.known() {
            return Ok(known.header.clone());
        }
        let followed = self.spec.link.view.borrow().as_ref().map(|view| view.latest.hash);
        let at = Instant::now();
        let header = self.spec.link.block(BlockNumberOrTag::Latest).await?;
        self.at_head = followed.map(|followed| AtHead {
            followed,
            at,
            header: header.clone(),
            markets: BTreeMap::new(),
            balance: None,
        });
        Ok(header)
    }

    /// What the chain asks, at the tips that an urgency offers.
    pub(super) async fn market(&mut self, urgency: Urgency) -> Result<Market, Trouble> {
        let known = self.known().and_then(|known| known.markets.get(&urgency).cloned());
        if let Some(market) = known {
            return Ok(market);
        }
        let found = market(&self.spec.link.client, BlockNumberOrTag::Latest, urgency).await?;
        if let Some(known) = self.known() {
            known.markets.insert(urgency, found.clone());
        }
        Ok(found)
    }

    /// A receipt told what the key paid: what it has is asked for anew.
    pub(super) fn forget_balance(&mut self) {
        if let Some(known) = &mut self.at_head {
            known.balance = None;
        }
    }

    /// What the key has.
    pub(super) async fn balance_now(&mut self) -> Result<U256, Trouble> {
        if let Some(balance) = self.known().and_then(|known| known.balance) {
            return Ok(balance);
        }
        let (client, address) = (self.spec.link.client.clone(), self.spec.key.address());
        let balance = client.balance(address, BlockNumberOrTag::Latest).await?;
        if let Some(known) = self.known() {
            known.balance = Some(balance);
        }
        Ok(balance)
    }
}
