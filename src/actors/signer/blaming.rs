//! A call that would not pass: whose fault it is.

use alloy::eips::BlockNumberOrTag;

use super::{Keeper, SignerActor, Trouble, books::Books};
use crate::{
    domain::UnlockId,
    signing::{
        calls::Target,
        item::{Effect, Rejection},
        ledger::Changes,
        reverts::{Revert, RevertClass},
    },
};

impl SignerActor {
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
