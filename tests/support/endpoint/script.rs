//! What an endpoint does: nothing of its own, unless it is told.

use super::{Branch, Cap, Edit, Fault, Lag, Reach, ReceiptLie, Refusal, When};

/// A script, put together part by part.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) seed: u64,
    pub(super) faults: Vec<(When, Fault)>,
    pub(super) refusals: Vec<(When, Refusal)>,
    pub(super) caps: Vec<Cap>,
    pub(super) lag: Option<Lag>,
    pub(super) branch: Option<Branch>,
    pub(super) lies: Vec<(Edit, Reach)>,
    pub(super) receipts: Option<ReceiptLie>,
    pub(super) chain_id: Option<u64>,
    pub(super) batches: Batches,
}

/// What becomes of several calls in one request.
#[derive(Clone, Debug, Default)]
pub enum Batches {
    #[default]
    InOrder,
    /// Answered in any order, as JSON-RPC allows.
    Shuffled,
    /// More calls than `most` in one request are refused as a whole.
    Refused { most: usize, refusal: Refusal },
}

impl Script {
    /// Hands everything on.
    pub fn honest() -> Self {
        Self::default()
    }

    /// What shares and delays are drawn from.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// An HTTP request with such a call fails so. Rules are looked at in
    /// order; the first that ends the request does.
    pub fn fault(mut self, when: When, fault: Fault) -> Self {
        self.faults.push((when, fault));
        self
    }

    /// Such calls are refused, others of the same batch are not.
    pub fn refusal(mut self, when: When, refusal: Refusal) -> Self {
        self.refusals.push((when, refusal));
        self
    }

    pub fn cap(mut self, cap: Cap) -> Self {
        self.caps.push(cap);
        self
    }

    pub fn lag(self, lag: Lag) -> Self {
        Self { lag: Some(lag), ..self }
    }

    pub fn branch(self, branch: Branch) -> Self {
        Self { branch: Some(branch), ..self }
    }

    /// Changes logs, in as many answers as `reach` says.
    pub fn lie(mut self, edit: Edit, reach: Reach) -> Self {
        self.lies.push((edit, reach));
        self
    }

    /// Lies about what became of transactions.
    pub fn receipts(self, lie: ReceiptLie) -> Self {
        Self { receipts: Some(lie), ..self }
    }

    /// Names another chain.
    pub fn chain_id(self, chain_id: u64) -> Self {
        Self { chain_id: Some(chain_id), ..self }
    }

    pub fn batches(self, batches: Batches) -> Self {
        Self { batches, ..self }
    }
}
