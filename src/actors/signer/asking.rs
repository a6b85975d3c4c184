//! What the contract that keeps achievements is asked: who has what.

use std::sync::atomic::Ordering;

use futures::future::join_all;

use super::{Keeper, SignerActor, Trouble, books::Books};
use crate::{
    actors::shared::Place,
    chain::{rpc::RpcError, rpc_errors::RpcErrorClass},
    domain::{Name, UnlockId},
    signing::{
        calls::{Target, views},
        item::Rejection,
        reverts::Revert,
    },
};

/// Calls to the contract at once while a batch is looked at.
const CALLS_AT_ONCE: usize = 8;

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

    pub(super) fn keeper(&self, books: &Books, id: UnlockId) -> Option<&Keeper> {
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

    /// [`Self::has`] for many, in one call where endpoints run such calls.
    pub(super) async fn have(
        &self,
        keeper: &Keeper,
        targets: &[Target],
        at: Place,
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
        &self,
        keeper: &Keeper,
        targets: &[Target],
        at: Place,
    ) -> Result<Option<Vec<Option<bool>>>, RpcError> {
        let questions: Option<Vec<_>> =
            targets.iter().map(|target| keeper.calls.has(target)).collect();
        let Some(questions) =
            questions.filter(|it| it.len() > 1 && !self.asks_singly.load(Ordering::Relaxed))
        else {
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

    fn ask_singly(&self, why: &str) {
        tracing::info!(signer = %self.name(), "contracts are asked one question a call: {why}");
        self.asks_singly.store(true, Ordering::Relaxed);
    }

    /// Whether a user has an achievement at a block. `Ok(None)` when that is no
    /// answer, or can't be asked.
    pub(super) async fn has(
        &self,
        keeper: &Keeper,
        target: &Target,
        at: Place,
    ) -> Result<Option<bool>, RpcError> {
        let Some(calldata) = keeper.calls.has(target) else { return Ok(None) };
        let answer = self.spec.link.call(None, keeper.address, &calldata, at).await?;
        Ok(keeper.calls.decode_has(&answer))
    }
}
