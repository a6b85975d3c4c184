//! Wrong answers: what follows from them, and who is told.
//!
//! An endpoint that lied is quarantined, with the lie as the reason, and comes
//! back on probation. A chain whose endpoints have all lied is not read: its
//! calls fail and say why. Only where a single endpoint is configured a wrong
//! answer sets it aside like a failure, since one glitch must not stop the
//! chain for a minute; another chain's id stops it there, too.

use std::{sync::Arc, time::Duration};

use super::ChainClient;
use crate::{
    chain::{
        health::{ChainCheck, Health, Standing},
        rpc::RpcError,
    },
    domain::Name,
    shortened::shortened,
};

/// What a wrong answer was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LieKind {
    /// It serves another chain.
    ChainId,
    /// Another block than was asked for, or a header that contradicts itself.
    Header,
    /// Invented, withheld or contradictory logs.
    Logs,
    /// Receipts that are not the block's or the transaction's.
    Receipt,
    /// Another transaction than was sent.
    Transaction,
    /// An answer that can't be read: a fault rather than a lie, so it leads to
    /// no quarantine.
    Malformed,
    /// Anything else.
    Other,
}

impl LieKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::ChainId,
        Self::Header,
        Self::Logs,
        Self::Receipt,
        Self::Transaction,
        Self::Malformed,
        Self::Other,
    ];

    /// Its word in metrics and notices.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChainId => "chain_id",
            Self::Header => "header",
            Self::Logs => "logs",
            Self::Receipt => "receipt",
            Self::Transaction => "transaction",
            Self::Malformed => "malformed",
            Self::Other => "other",
        }
    }

    fn of(method: &str) -> Self {
        match method {
            "eth_chainId" => Self::ChainId,
            "eth_getBlockByNumber" | "eth_getBlockByHash" => Self::Header,
            "eth_getLogs" => Self::Logs,
            "eth_getBlockReceipts" | "eth_getTransactionReceipt" => Self::Receipt,
            "eth_sendRawTransaction" | "eth_getTransactionByHash" => Self::Transaction,
            _ => Self::Other,
        }
    }
}

/// A wrong answer that set its endpoint aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lie {
    /// The chain's configured name.
    pub chain: Name,
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// What it was about.
    pub kind: LieKind,
    /// The method.
    pub method: String,
    /// What is wrong with it.
    pub reason: String,
    /// How long it is quarantined; `None` where it is the only endpoint.
    pub quarantined_for: Option<Duration>,
}

impl ChainClient {
    /// Whether an endpoint is set aside for a lie.
    pub(super) fn is_quarantined(&self, index: usize) -> bool {
        let now = self.now();
        let health = self.health();
        let standing = health.get(index).map(|health| health.trust.standing(now));
        matches!(standing, Some(Standing::Quarantined { .. }))
    }

    /// An answer of an endpoint was found to be wrong, by whatever proof: it
    /// is set aside and told of. Gives the error for the call.
    pub fn lied(
        &self,
        index: usize,
        kind: LieKind,
        method: &str,
        reason: impl ToString,
    ) -> RpcError {
        let error = RpcError::wrong(self.name(index), method, reason.to_string());
        let (now, lone) = (self.now(), self.shared.endpoints.len() == 1);
        let forgiving = kind == LieKind::Malformed || (lone && kind != LieKind::ChainId);
        let (mut told, mut quarantined_for) = (false, None);
        if let Some(health) = self.health().get_mut(index) {
            health.failed(now);
            if forgiving {
                // The first of those that follow each other.
                told = kind != LieKind::Malformed && health.failures == 1;
            } else {
                told = !matches!(health.trust.standing(now), Standing::Quarantined { .. });
                quarantined_for = Some(health.trust.lied(now, &error.to_string()));
            }
        }
        let (chain, endpoint) = (&self.shared.chain, self.name(index));
        let metrics = &self.shared.metrics;
        metrics.endpoint_lies_total.with_label_values(&[endpoint, kind.as_str()]).inc();
        match quarantined_for {
            Some(time) => {
                metrics.endpoint_quarantined.with_label_values(&[endpoint]).set(1);
                let seconds = time.as_secs();
                tracing::error!(%chain, %error, seconds, "endpoint quarantined: it lied");
            }
            None => tracing::warn!(%chain, %error, "an endpoint's answer was refused"),
        }
        if let (true, Some(lies)) = (told, &self.shared.lies) {
            let lie = Lie {
                chain: chain.clone(),
                endpoint: Arc::clone(endpoint),
                kind,
                method: method.to_owned(),
                reason: reason.to_string(),
                quarantined_for,
            };
            // Who is told must not delay a call; what finds no room is in the
            // log and the metrics.
            let _ = lies.try_send(lie);
        }
        error
    }

    /// An answer that can't be true.
    pub(super) fn wrong(&self, index: usize, method: &str, reason: impl ToString) -> RpcError {
        self.lied(index, LieKind::of(method), method, reason)
    }

    /// An answer that can't be read.
    pub(super) fn malformed(&self, index: usize, method: &str, reason: impl ToString) -> RpcError {
        self.lied(index, LieKind::Malformed, method, shortened(&reason))
    }

    /// An answer that passed its checks, worth so many `points` of a probation.
    pub(super) fn proved(&self, index: usize, points: u32) {
        let now = self.now();
        let trusted = self.health().get_mut(index).is_some_and(|h| h.trust.proved(now, points));
        if trusted {
            let (chain, endpoint) = (&self.shared.chain, self.name(index));
            tracing::info!(%chain, %endpoint, "the endpoint's probation is over");
        }
    }

    /// Tells once of each quarantine that is over.
    pub(super) fn welcome_back(&self, health: &mut [Health], now: Duration) {
        for (health, endpoint) in health.iter_mut().zip(&self.shared.names) {
            if health.trust.returned(now) {
                if matches!(health.chain, ChainCheck::Wrong(_)) {
                    health.chain = ChainCheck::Unknown;
                }
                let chain = &self.shared.chain;
                self.shared.metrics.endpoint_quarantined.with_label_values(&[endpoint]).set(0);
                tracing::info!(%chain, %endpoint, "the endpoint's quarantine is over: probation");
            }
        }
    }

    /// Refuses an endpoint that is quarantined.
    pub(super) fn ensure_trusted(&self, index: usize) -> Result<(), RpcError> {
        let now = self.now();
        let mut health = self.health();
        self.welcome_back(&mut health, now);
        match health.get(index).map(|health| (health.trust.standing(now), health.chain)) {
            Some((Standing::Quarantined { reason, .. }, _)) => {
                let endpoint = Arc::clone(self.name(index));
                Err(RpcError::Quarantined { endpoint, reason: reason.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Why there is nobody to ask.
    pub(super) fn no_endpoint(&self) -> RpcError {
        let now = self.now();
        let reasons: Vec<_> = self
            .health()
            .iter()
            .enumerate()
            .filter(|(index, _)| self.only.is_none_or(|only| only == *index))
            .filter_map(|(_, health)| match health.trust.standing(now) {
                Standing::Quarantined { reason, until } => {
                    Some(format!("{reason} (for {} s more)", (until - now).as_secs()))
                }
                Standing::Trusted | Standing::Probation { .. } => None,
            })
            .collect();
        if reasons.is_empty() {
            return RpcError::NoEndpoint { chain: self.shared.chain.to_string() };
        }
        let endpoint = match self.only {
            Some(index) => Arc::clone(self.name(index)),
            None => format!("every endpoint of chain `{}`", self.shared.chain).into(),
        };
        RpcError::Quarantined { endpoint, reason: reasons.join("; ") }
    }
}
