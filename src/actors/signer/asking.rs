//! What the contract that keeps achievements is asked before anything is sent:
//! who has what already, and whose fault a refusal is.

use alloy::eips::BlockNumberOrTag;
use futures::future::join_all;

use super::{Keeper, SignerActor, Trouble, books::Books};
use crate::{
    chain::{rpc::RpcError, rpc_errors::RpcErrorClass},
    config::Delivery,
    domain::{Name, UnlockId},
    signing::{
        calls::{Target, views},
        item::{Effect, Rejection},
        ledger::Changes,
        reverts::{Revert, RevertClass},
    },
};

/// Calls to the contract at once while a batch is looked at.
const CALLS_AT_ONCE: usize = 8;

/// The code of an unlock that is held for a person.
const IN_DOUBT: &str = "in_doubt";

impl SignerActor {
    /// The decoded revert, if the call was answered by one.
    pub(super) fn revert_of(&self, error: &RpcError) -> Option<Revert> {
        let refusal = error.semantic()?;
        Some(self.spec.decoder.explain(&refusal.message, refusal.data.as_ref()))
    }

    pub(super) fn targets(&self, books: &Books, ids: &[UnlockId]) -> Vec<Target> {
        ids.iter()
            .filter_map(|id| books.ledger.item(*id))
            .map(|item| Target::from(item.request()))
            .collect()
    }

    fn keeper(&self, books: &Books, id: UnlockId) -> Option<&Keeper> {
        let item = books.ledger.item(id)?;
        self.spec.keepers.get(&item.request().contract)
    }

    /// The contract that all of a choice belong to; items of a contract that the
    /// configuration no longer has are rejected.
    pub(super) async fn keeper_of(
        &mut self,
        books: &mut Books,
        ids: &[UnlockId],
    ) -> Result<Option<Keeper>, Trouble> {
        let found = ids.first().and_then(|id| self.keeper(books, *id)).cloned();
        if found.is_none() {
            let name: Option<Name> = ids
                .first()
                .and_then(|id| books.ledger.item(*id))
                .map(|i| i.request().contract.clone());
            let reason = format!(
                "contract `{}` is not configured",
                name.map_or_else(String::new, |name| name.to_string())
            );
            for id in ids {
                let why = Rejection { code: "unknown_contract".into(), reason: reason.clone() };
                let changes = books.ledger.reject(*id, why)?;
                self.commit(books, changes, Vec::new()).await?;
            }
        }
        Ok(found)
    }

    /// Asks the contract who has what already, and drops those from the
    /// choice: unlocked by somebody else, or revoked already. Where it can't be
    /// asked, all are left.
    pub(super) async fn leave_out_done(
        &mut self,
        books: &mut Books,
        ids: &[UnlockId],
        keeper: &Keeper,
        block: u64,
    ) -> Result<Vec<UnlockId>, Trouble> {
        if !keeper.calls.can_ask() {
            return self.leave_out_doubtful(books, ids, keeper, block).await;
        }
        let targets = self.targets(books, ids);
        let mut answers = Vec::new();
        for (target, answer) in targets.iter().zip(self.have(keeper, &targets, block.into()).await?)
        {
            let has = answer.ok_or_else(|| {
                let what = match keeper.calls.is_reference() {
                    true => "hasAchievement(address,uint256)",
                    false => "its `has` call",
                };
                Trouble::Held(format!(
                    "{} does not answer {what}: is it the right address?",
                    keeper.address
                ))
            })?;
            answers.push((target.id, has));
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

    /// [`Self::has`] for many, in one call where endpoints run such calls.
    pub(super) async fn have(
        &mut self,
        keeper: &Keeper,
        targets: &[Target],
        at: BlockNumberOrTag,
    ) -> Result<Vec<Option<bool>>, RpcError> {
        let mut all = Vec::new();
        for part in targets.chunks(views::QUESTIONS_MAX) {
            if let Some(answers) = self.have_at_once(keeper, part, at).await? {
                for (target, answer) in part.iter().zip(answers) {
                    // Many at once may need more gas than a call has: none is only
                    // believed of a question by itself.
                    let alone = answer.is_none();
                    all.push(if alone { self.has(keeper, target, at).await? } else { answer });
                }
                continue;
            }
            for few in part.chunks(CALLS_AT_ONCE) {
                let asked = few.iter().map(|target| self.has(keeper, target, at));
                let answers = join_all(asked).await.into_iter();
                all.extend(answers.collect::<Result<Vec<_>, _>>()?);
            }
        }
        Ok(all)
    }

    /// `None` where an endpoint does not run it, which is remembered, or one
    /// call each is no more.
    async fn have_at_once(
        &mut self,
        keeper: &Keeper,
        targets: &[Target],
        at: BlockNumberOrTag,
    ) -> Result<Option<Vec<Option<bool>>>, RpcError> {
        let questions: Option<Vec<_>> =
            targets.iter().map(|target| keeper.calls.has(target)).collect();
        let Some(questions) = questions.filter(|it| it.len() > 1 && !self.asks_singly) else {
            return Ok(None);
        };
        let given = match self.spec.link.run(views::ask(keeper.address, questions), at).await {
            Ok(given) => given,
            Err(error) => {
                let Some(refusal) = error.refusal() else { return Err(error) };
                match refusal.class {
                    RpcErrorClass::Semantic | RpcErrorClass::PlanRefused => {
                        self.ask_singly(&error.to_string());
                    }
                    // More calls would not be answered either.
                    RpcErrorClass::RateLimited { .. } | RpcErrorClass::Unpaid => return Err(error),
                    _ => {}
                }
                return Ok(None);
            }
        };
        let Some(answers) = views::answers(&given, targets.len()) else {
            self.ask_singly("what many questions at once were answered by is no answer");
            return Ok(None);
        };
        let decoded = |answer: Option<&[u8]>| answer.and_then(|it| keeper.calls.decode_has(it));
        Ok(Some(answers.into_iter().map(decoded).collect()))
    }

    fn ask_singly(&mut self, why: &str) {
        tracing::info!(signer = %self.name(), "contracts are asked one question a call: {why}");
        self.asks_singly = true;
    }

    /// Whether a user has an achievement at a block. `Ok(None)` when that is no
    /// answer, or can't be asked.
    pub(super) async fn has(
        &self,
        keeper: &Keeper,
        target: &Target,
        at: BlockNumberOrTag,
    ) -> Result<Option<bool>, RpcError> {
        let Some(calldata) = keeper.calls.has(target) else { return Ok(None) };
        let answer = self.spec.link.call(None, keeper.address, &calldata, at).await?;
        Ok(keeper.calls.decode_has(&answer))
    }

    /// Whether a lone item's effect is on chain already, not deep enough yet.
    async fn done_near_head(
        &self,
        books: &Books,
        keeper: &Keeper,
        ids: &[UnlockId],
        effect: Effect,
    ) -> Result<bool, Trouble> {
        let targets = self.targets(books, ids);
        let [target] = targets.as_slice() else { return Ok(false) };
        let has = self.has(keeper, target, BlockNumberOrTag::Latest).await?;
        Ok(has == Some(effect == Effect::Unlock))
    }

    /// Asks the chain about items whose fate a deep reorg left open.
    pub(super) async fn check_unsure(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let unsure: Vec<UnlockId> =
            books.ledger.ready().unsure().take(self.spec.config.batch_max_items).collect();
        if unsure.is_empty() {
            return Ok(());
        }
        let head = self.spec.link.block(BlockNumberOrTag::Latest).await?.block.number;
        let deep = (head + 1).saturating_sub(self.spec.config.confirmations);
        for id in unsure {
            if let Some(keeper) = self.keeper_of(books, &[id]).await? {
                self.leave_out_done(books, &[id], &keeper, deep).await?;
            }
        }
        Ok(())
    }

    /// A simulation reverted: find whose fault it is.
    pub(super) async fn refused(
        &mut self,
        books: &mut Books,
        keeper: &Keeper,
        ids: &[UnlockId],
        effect: Effect,
        revert: Revert,
    ) -> Result<bool, Trouble> {
        if revert.class != RevertClass::Business {
            // Rights, a pause, a wrong address: no item is to blame, and no other
            // contract.
            let why =
                format!("{} refuses every call: {} ({})", keeper.address, revert.text, revert.code);
            self.close(&keeper.name, why);
            return Ok(true);
        }
        let mut changes = Changes::default();
        if self.done_near_head(books, keeper, ids, effect).await? {
            // Somebody was faster, and it may still be orphaned: when it is
            // deep it is found, and until then nothing is to be done.
            return Ok(false);
        }
        if let [id] = ids {
            let why = Rejection { code: revert.code, reason: revert.text };
            changes = books.ledger.reject(*id, why)?;
        } else {
            // One by one, so that the poisoned are known and the others go on.
            let mut poisoned = Vec::new();
            for target in self.targets(books, ids) {
                if let Some(why) = self.poison(keeper, &target, effect).await? {
                    poisoned.push((target.id, why));
                }
            }
            for (id, why) in poisoned {
                changes.then(books.ledger.reject(id, why)?);
            }
            if changes.is_empty() {
                // Each passes alone and all together do not: send them alone.
                changes = books.ledger.suspect(ids)?;
            }
        }
        self.commit(books, changes, Vec::new()).await?;
        Ok(true)
    }

    /// Why the contract refuses an item of a batch for good; `None` when it
    /// passes alone, or is refused for what may change by itself.
    async fn poison(
        &self,
        keeper: &Keeper,
        target: &Target,
        effect: Effect,
    ) -> Result<Option<Rejection>, Trouble> {
        let calldata = match effect {
            Effect::Unlock => keeper.calls.unlock(std::slice::from_ref(target)),
            Effect::Revoke => keeper.calls.revoke(target),
        };
        let from = Some(self.spec.key.address());
        let latest = BlockNumberOrTag::Latest;
        let Err(error) = self.spec.link.call(from, keeper.address, &calldata, latest).await else {
            return Ok(None);
        };
        let Some(revert) = self.revert_of(&error) else { return Err(error.into()) };
        if revert.class != RevertClass::Business {
            return Ok(None);
        }
        // What is done near the head already is found when it is deep.
        let has = self.has(keeper, target, latest).await?;
        let done = has == Some(effect == Effect::Unlock);
        Ok((!done).then_some(Rejection { code: revert.code, reason: revert.text }))
    }
}

fn in_doubt(why: &str) -> Rejection {
    let reason = format!(
        "it may have landed already, and the contract can't be asked: {why}; replay its dead letter \
         if it has not, discard it if it has"
    );
    Rejection { code: IN_DOUBT.into(), reason }
}
