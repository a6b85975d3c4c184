//! Whether what is to be sent is done already, and whether it would pass.

use alloy::{eips::BlockNumberOrTag, primitives::Bytes};

use super::{Keeper, SignerActor, Trouble, books::Books};
use crate::{
    actors::shared::Place,
    chain::rpc::RpcError,
    config::Delivery,
    domain::UnlockId,
    signing::{
        item::{Effect, Rejection},
        ledger::Changes,
    },
};

/// The code of an unlock that is held for a person.
const IN_DOUBT: &str = "in_doubt";

/// A call that was tried, and not sent.
pub(super) struct Tried {
    /// What it is for: nothing that is done already.
    pub items: Vec<UnlockId>,
    pub calldata: Bytes,
    /// Gas that it would use, or why it would not pass.
    pub estimate: Result<u64, RpcError>,
    /// The key's transactions, with those in the pool, asked at the same time.
    pub pending: Result<u64, RpcError>,
}

impl SignerActor {
    /// Tries a call while the contract is asked who has what already; most
    /// often nobody has, and asking one after the other would only take longer.
    /// `None` when nothing is left to be sent.
    pub(super) async fn tried(
        &mut self,
        books: &mut Books,
        keeper: &Keeper,
        effect: Effect,
        chosen: Vec<UnlockId>,
        (block, place): (u64, Place),
    ) -> Result<Option<Tried>, Trouble> {
        let (client, from) = (self.spec.link.client.clone(), self.spec.key.address());
        let calldata = self.calldata(books, keeper, effect, &chosen);
        let (done, estimate, pending) = tokio::join!(
            self.who_is_done(books, &chosen, keeper, place),
            self.spec.link.estimate_gas(from, keeper.address, &calldata),
            client.transaction_count(from, BlockNumberOrTag::Pending),
        );
        let items = self.leave_out(books, &chosen, done?, keeper, block).await?;
        if items.is_empty() {
            return Ok(None);
        }
        if items == chosen {
            return Ok(Some(Tried { items, calldata, estimate, pending }));
        }
        let calldata = self.calldata(books, keeper, effect, &items);
        let estimate = self.spec.link.estimate_gas(from, keeper.address, &calldata).await;
        Ok(Some(Tried { items, calldata, estimate, pending }))
    }

    fn calldata(&self, books: &Books, keeper: &Keeper, effect: Effect, ids: &[UnlockId]) -> Bytes {
        let targets = self.targets(books, ids);
        match (effect, targets.as_slice()) {
            (Effect::Unlock, targets) => keeper.calls.unlock(targets),
            (Effect::Revoke, [target, ..]) => keeper.calls.revoke(target),
            (Effect::Revoke, []) => Bytes::new(),
        }
    }

    /// Who has what already, as the contract says; nothing where it can't be
    /// asked.
    async fn who_is_done(
        &self,
        books: &Books,
        ids: &[UnlockId],
        keeper: &Keeper,
        place: Place,
    ) -> Result<Vec<(UnlockId, bool)>, Trouble> {
        if !keeper.calls.can_ask() {
            return Ok(Vec::new());
        }
        let targets = self.targets(books, ids);
        let answers = self.have(keeper, &targets, place).await?;
        let said = targets.iter().zip(answers).map(|(target, has)| Some((target.id, has?)));
        said.collect::<Option<_>>().ok_or_else(|| {
            let what = match keeper.calls.is_reference() {
                true => "hasAchievement(address,uint256)",
                false => "its `has` call",
            };
            Trouble::Held(format!(
                "{} does not answer {what}: is it the right address?",
                keeper.address
            ))
        })
    }

    /// Drops from a choice what is unlocked by somebody else, or revoked
    /// already. Where that can't be asked, all are left.
    async fn leave_out(
        &mut self,
        books: &mut Books,
        ids: &[UnlockId],
        answers: Vec<(UnlockId, bool)>,
        keeper: &Keeper,
        block: u64,
    ) -> Result<Vec<UnlockId>, Trouble> {
        if !keeper.calls.can_ask() {
            return self.leave_out_doubtful(books, ids, keeper, block).await;
        }
        // Nothing is asked between the first change and the commit: trouble
        // there would leave the books ahead of the store.
        let mut left = Vec::new();
        let mut all = Changes::default();
        for (id, has) in answers {
            let changes = books.ledger.found(id, has, block)?;
            if changes.is_empty() {
                left.push(id);
            } else {
                all.then(changes);
            }
        }
        if !all.is_empty() {
            self.commit(books, all, Vec::new()).await?;
        }
        Ok(left)
    }

    /// What a deep reorg left open can't be asked for: by the configuration's
    /// choice it is sent again, or held for a person.
    async fn leave_out_doubtful(
        &mut self,
        books: &mut Books,
        ids: &[UnlockId],
        keeper: &Keeper,
        block: u64,
    ) -> Result<Vec<UnlockId>, Trouble> {
        let unsure = |id: &UnlockId| books.ledger.item(*id).is_some_and(|item| item.needs_check());
        let (doubtful, left): (Vec<UnlockId>, Vec<UnlockId>) =
            ids.iter().partition(|id| unsure(id));
        let mut all = Changes::default();
        for id in doubtful {
            all.then(match keeper.delivery {
                Delivery::AtLeastOnce => books.ledger.found(id, false, block)?,
                Delivery::ExactlyOnce | Delivery::AtMostOnce => {
                    books.ledger.doubt(id, in_doubt("a deep reorg took its transaction away"))?
                }
            });
        }
        if !all.is_empty() {
            self.commit(books, all, Vec::new()).await?;
        }
        Ok(left)
    }

    /// After books were lost: what waits may have landed by an earlier life's
    /// transaction. Where the contract can't be asked and nothing may land
    /// twice, a person decides.
    pub(super) async fn doubt_all(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let waiting: Vec<UnlockId> = books.ledger.ready().ids().collect();
        let mut all = Changes::default();
        for id in waiting {
            let holds = self.keeper(books, id).is_some_and(|keeper| {
                !keeper.calls.can_ask() && keeper.delivery == Delivery::AtMostOnce
            });
            if holds {
                let why = "the signer's books were lost, and earlier transactions of its key are \
                           on the chain";
                all.then(books.ledger.doubt(id, in_doubt(why))?);
            }
        }
        if !all.is_empty() {
            self.commit(books, all, Vec::new()).await?;
        }
        Ok(())
    }

    /// After books were lost: what was asked for and taken back again may have landed in
    /// between, by an earlier life's transaction. The chain is asked, and what is
    /// there is taken back.
    pub(super) async fn recheck_unwanted(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let settled: Vec<UnlockId> = books.ledger.archived().collect();
        let mut all = Changes::default();
        for id in settled {
            self.recall(books, id, &all).await?;
            let can_ask = self.keeper(books, id).is_some_and(|keeper| keeper.calls.can_ask());
            all.then(books.ledger.recheck_if_absent(id, can_ask)?);
        }
        if !all.is_empty() {
            self.commit(books, all, Vec::new()).await?;
        }
        Ok(())
    }

    /// Asks the chain about items whose fate a deep reorg left open.
    pub(super) async fn check_unsure(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let unsure: Vec<UnlockId> =
            books.ledger.ready().unsure().take(self.spec.config.batch_max_items).collect();
        if unsure.is_empty() {
            return Ok(());
        }
        let (deep, place) = self.spec.link.confirmed(self.spec.config.confirmations).await?;
        for id in unsure {
            if let Some(keeper) = self.keeper_of(books, &[id]).await? {
                let done = self.who_is_done(books, &[id], &keeper, place).await?;
                self.leave_out(books, &[id], done, &keeper, deep).await?;
            }
        }
        Ok(())
    }
}

fn in_doubt(why: &str) -> Rejection {
    let reason = format!(
        "it may have landed already, and the contract can't be asked: {why}; replay its dead letter \
         if it has not, discard it if it has"
    );
    Rejection { code: IN_DOUBT.into(), reason }
}
