//! From waiting items to a signed, written-down transaction.

use alloy::primitives::{Bytes, U256};
use tokio::time::Instant;

use super::{RETRY_KEY, SignerActor, Trouble, books::Books, checking::Tried, unix_ms};
use crate::{
    actors::{market::policy, messages},
    domain::{TransactionState, UnlockId, Urgency},
    failpoints::Failpoint,
    signing::{
        batcher::{BatchLimits, Exceptions, Next as Choice},
        fees::{Decision, FeePolicy, Fees},
        gas::{BufferPercent, GasBook, gas_limit},
        item::{Effect, Rejection},
        ledger::{Attempt, AttemptKind, Call, Changes, Purpose, ReconcileAction},
    },
    teeth::{Tooth, is_planted},
};

/// As urgent as its most urgent item.
pub(super) fn urgency(books: &Books, items: &[UnlockId]) -> Urgency {
    let items = items.iter().filter_map(|id| books.ledger.item(*id));
    items.map(|item| item.request().urgency).max().unwrap_or_default()
}

/// How long a retraction must last before it is acted on: longer than a rule
/// set takes to say a whole history again.
const REVOKE_WAIT_MS: u64 = 5_000;
/// Nodes refuse transactions above 128 KiB.
const MAX_CALLDATA_BYTES: usize = 120 * 1024;
/// Share of a block that one batch may need.
const BLOCK_SHARE: u64 = 2;
/// Gas of an empty transfer (yellow paper, G_transaction).
const TRANSFER_GAS: u64 = 21_000;

impl SignerActor {
    /// Signs and hands over the next transaction, if one is due and there is
    /// room. Returns whether it did.
    pub(super) async fn send_next(&mut self, books: &mut Books) -> Result<bool, Trouble> {
        if books.ledger.ready().is_empty() {
            return Ok(false);
        }
        Box::pin(self.send(books)).await
    }

    async fn send(&mut self, books: &mut Books) -> Result<bool, Trouble> {
        self.check_unsure(books).await?;
        if books.ledger.live_nonces().count() >= self.spec.config.max_in_flight {
            return Ok(false);
        }
        let head = self.head().await?;
        let limits = BatchLimits {
            max_items: self.spec.config.batch_max_items,
            max_wait_ms: u64::try_from(self.spec.config.batch_max_wait.as_millis())
                .unwrap_or(u64::MAX),
            revoke_wait_ms: REVOKE_WAIT_MS,
            max_calldata_bytes: MAX_CALLDATA_BYTES,
            max_gas: head.gas_limit / BLOCK_SHARE,
            base_gas: GasBook::BASE,
            gas_per_item: books.gas.per_item(),
        };
        let exceptions = Exceptions {
            held: self.held_sets(),
            singles: self.singles.clone(),
            closed: self.closed.now(),
        };
        let ready = books.ledger.ready();
        let (effect, chosen) = match self.batcher.next(ready, &limits, &exceptions, unix_ms()) {
            Choice::Revoke(id) => (Effect::Revoke, vec![id]),
            Choice::Single(id) => (Effect::Unlock, vec![id]),
            Choice::Batch { items, .. } => (Effect::Unlock, items),
            Choice::WaitUntil(_) | Choice::Idle => return Ok(false),
        };
        let Some(keeper) = self.keeper_of(books, &chosen).await? else { return Ok(true) };
        // What is true only near the head may be orphaned: facts are deep.
        let deep = self.spec.link.confirmed(self.spec.config.confirmations).await?;
        let Some(tried) = self.tried(books, &keeper, effect, chosen, deep).await? else {
            return Ok(true);
        };
        let Tried { items: chosen, calldata, estimate, pending } = tried;
        let estimate = match estimate {
            Ok(estimate) => estimate,
            Err(error) => {
                let Some(revert) = self.revert_of(&error) else { return Err(error.into()) };
                return self.refused(books, &keeper, &chosen, effect, revert).await;
            }
        };
        let gas_limit = match gas_limit(estimate, self.gas_buffer(books), head.gas_limit) {
            Ok(limit) => limit,
            Err(error) => {
                let changes = match chosen.as_slice() {
                    [id] => {
                        let code = "exceeds_block_gas_limit".into();
                        let reason = error.to_string();
                        books.ledger.reject(*id, Rejection { code, reason })?
                    }
                    _ => books.ledger.suspect(&chosen)?,
                };
                self.commit(books, changes, Vec::new()).await?;
                return Ok(true);
            }
        };
        let urgency = urgency(books, &chosen);
        let fees = match self.policy().price(&self.market(urgency).await?) {
            Decision::Pay(fees) => fees,
            Decision::Wait { needed, cap } | Decision::AtCap { needed, cap } => {
                return Err(Trouble::Held(format!(
                    "the next block asks {needed} wei per gas, above the cap of {cap}; waiting for \
                     fees to fall (or raise max_fee_gwei)"
                )));
            }
        };
        self.closed.open(&keeper.name);
        let purpose = match (effect, chosen.as_slice()) {
            (Effect::Revoke, [item]) => Purpose::Revoke { item: *item },
            _ => Purpose::Unlock { items: chosen },
        };
        let call = Call { to: keeper.address, calldata: calldata.clone(), gas_limit };
        let l1_fee = self.l1_fee(&calldata).await?;
        let worst = (U256::from(gas_limit) * U256::from(fees.max_per_gas())).saturating_add(l1_fee);
        let nonce = books.ledger.next_nonce();
        if pending? > nonce {
            // Somebody else's transaction waits there: ours would push it out.
            self.reconcile = true;
            return Ok(true);
        }
        self.require_balance(books, nonce, worst).await?;
        if let Err(over) = self.reserve(books, nonce, worst, purpose.items()) {
            // A rule set's stops the set alone: the next batch is without it.
            return self.over_budget(books, over).await;
        }
        // First: books stay whole when a service does not sign.
        let attempt = match self.signed(nonce, AttemptKind::Effect, &call, fees).await {
            Ok(attempt) => attempt,
            Err(trouble) => {
                // The nonce may go elsewhere: nothing would settle what it reserved.
                books.spending.settle(nonce, U256::ZERO, unix_ms() / 1000);
                return Err(trouble);
            }
        };
        self.estimates.insert(nonce, estimate);
        let (nonce, mut changes) = books.ledger.allocate(purpose, call)?;
        changes.then(books.ledger.record_attempt(nonce, attempt)?);
        self.write_down(books, nonce, changes, TransactionState::Signed).await?;
        Ok(true)
    }

    /// Signs an attempt, which the ledger does not know yet: of a nonce's call,
    /// or the transfer of nothing that cancels it.
    pub(super) async fn signed(
        &mut self,
        nonce: u64,
        kind: AttemptKind,
        call: &Call,
        fees: Fees,
    ) -> Result<Attempt, Trouble> {
        let nothing = self.nothing();
        let call = match kind {
            AttemptKind::Effect => call,
            AttemptKind::Cancel => &nothing,
        };
        Failpoint::BeforeSign.hit();
        let signed = self.spec.key.sign(self.spec.link.chain_id, nonce, call, fees).await;
        self.key_failed = signed.is_err().then(Instant::now);
        let signed = signed?;
        Failpoint::AfterSign.hit();
        Ok(signed.into_attempt(kind, unix_ms() / 1000))
    }

    /// Whether the key's service failed a moment ago: asking it for each
    /// transaction in turn would keep all of them waiting.
    pub(super) fn key_rests(&self) -> bool {
        self.key_failed.is_some_and(|at| at.elapsed() < RETRY_KEY)
    }

    /// Uses a nonce up.
    fn nothing(&self) -> Call {
        let to = self.spec.key.address();
        Call { to, calldata: Bytes::new(), gas_limit: TRANSFER_GAS }
    }

    /// Commits a new attempt and puts it on the stream; only then a
    /// transaction actor gets it.
    pub(super) async fn write_down(
        &mut self,
        books: &mut Books,
        nonce: u64,
        changes: Changes,
        state: TransactionState,
    ) -> Result<(), Trouble> {
        let mut told = Vec::new();
        if let Some(record) = books.ledger.nonce(nonce) {
            let mut message = self.transaction(record, state, None);
            message.raw = record.newest().map(|attempt| attempt.raw.clone());
            told.push(message);
        }
        if is_planted(Tooth::BroadcastBeforePersist) {
            for raw in told.iter().filter_map(|message| message.raw.as_ref()) {
                let _ = self.spec.link.client.send_raw(raw).await;
            }
        }
        self.commit(books, changes, told).await?;
        self.say(books).await?;
        self.man_nonces(books);
        Ok(())
    }

    /// What the ledger and the chain's count of nonces call for.
    pub(super) async fn reconcile(
        &mut self,
        books: &mut Books,
        latest: u64,
        pending: u64,
    ) -> Result<(), Trouble> {
        for action in books.ledger.reconcile(latest, pending) {
            match action {
                // Transaction actors ask for receipts and send again by themselves.
                ReconcileAction::CheckReceipts { .. } | ReconcileAction::Rebroadcast { .. } => {}
                ReconcileAction::AdoptForeign { next_nonce }
                | ReconcileAction::Rewind { next_nonce } => {
                    tracing::info!(signer = %self.name(), next_nonce, "nonce adopted from the chain");
                    self.tell_of_foreign(books.ledger.next_nonce(), next_nonce)?;
                    let changes = books.ledger.move_next_nonce(next_nonce)?;
                    self.commit(books, changes, Vec::new()).await?;
                }
                ReconcileAction::Sign { nonce } => {
                    let changes = books.ledger.release(nonce)?;
                    self.commit(books, changes, Vec::new()).await?;
                }
                ReconcileAction::FillGap { nonce } => {
                    tracing::warn!(signer = %self.name(), nonce, "filling a gap in the nonces");
                    let Decision::Pay(fees) =
                        self.policy().price(&self.market(Urgency::Normal).await?)
                    else {
                        continue;
                    };
                    let (kind, nothing) = (AttemptKind::Effect, self.nothing());
                    let attempt = self.signed(nonce, kind, &nothing, fees).await?;
                    let mut changes = books.ledger.fill_gap(nonce, TRANSFER_GAS)?;
                    changes.then(books.ledger.record_attempt(nonce, attempt)?);
                    self.write_down(books, nonce, changes, TransactionState::Signed).await?;
                }
            }
        }
        self.man_nonces(books);
        Ok(())
    }

    /// Nonces that somebody else used are told of; the first ones of new books
    /// are the key's past.
    fn tell_of_foreign(&mut self, ours: u64, theirs: u64) -> Result<(), Trouble> {
        if ours == 0 || theirs <= ours {
            return Ok(());
        }
        let (address, last) = (self.spec.key.address(), theirs - 1);
        let text = format!(
            "nonces {ours} to {last} of {address} were used by somebody else; keep the key for \
             meritd alone"
        );
        tracing::warn!(signer = %self.name(), "{text}");
        let mark = self.mark();
        self.notices.push(messages::signer_notice(self.name(), &text, &mark)?);
        Ok(())
    }

    pub(super) fn policy(&self) -> FeePolicy {
        policy(&self.spec.config)
    }

    fn gas_buffer(&self, books: &Books) -> BufferPercent {
        let fixed = self.spec.config.gas_buffer_percent;
        let fixed = fixed.and_then(|percent| BufferPercent::new(percent.into()).ok());
        fixed.unwrap_or_else(|| books.gas.buffer())
    }
}
