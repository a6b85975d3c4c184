//! A call that would not pass: whose fault it is.

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
        // One by one, so that the poisoned are known and the others go on; also one that is
        // alone, since the endpoint that refused may lag, or be on another branch.
        let mut poisoned = Vec::new();
        for target in self.targets(books, ids) {
            if let Some(why) = self.poison(keeper, &target, effect).await? {
                poisoned.push((target.id, why));
            }
        }
        let mut changes = Changes::default();
        for (id, why) in poisoned {
            changes.then(books.ledger.reject(id, why)?);
        }
        if changes.is_empty() && ids.len() > 1 {
            // Each passes alone and all together do not: send them alone.
            changes = books.ledger.suspect(ids)?;
        }
        if changes.is_empty() {
            // It passes on the branch that is followed, or is done there, and that may still
            // be orphaned: when it is deep it is found. Until then nothing is to be done.
            tracing::debug!(signer = %self.name(), revert = revert.text, "refused, and not at fault");
            return Ok(false);
        }
        self.commit(books, changes, Vec::new()).await?;
        Ok(true)
    }

    /// Why the contract refuses an item for good on the branch that is followed; `None`
    /// when it passes, is refused for what may change by itself, or is done already.
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
        let (link, newest) = (&self.spec.link, self.spec.link.newest());
        let from = Some(self.spec.key.address());
        let Err(error) = link.call(from, keeper.address, &calldata, newest).await else {
            return Ok(None);
        };
        let Some(revert) = self.revert_of(&error) else { return Err(error.into()) };
        if revert.class != RevertClass::Business {
            return Ok(None);
        }
        let has = self.has(keeper, target, newest).await?;
        let done = has == Some(effect == Effect::Unlock);
        Ok((!done).then_some(Rejection { code: revert.code, reason: revert.text }))
    }
}
