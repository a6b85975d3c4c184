//! Every metric of meritd. A name that is not in the table below does not
//! exist; a name in it is a promise to dashboards and alert rules.
//!
//! Labels carry configured names and fixed words only, never addresses,
//! hashes or nonces: the number of series is bounded by the configuration.

use std::{ops::Deref, sync::Arc};

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// From a call within the machine (0.1 ms) to one that hung until its limit.
const CALL_SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// From one block of a fast chain to a signer that waited for cheap gas.
const UNLOCK_SECONDS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0,
    86_400.0,
];
/// Share of the gas limit that was used; 1 is out of gas.
const GAS_RATIO: &[f64] = &[0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0];
/// Puts and deletes of one store transaction.
const COMMIT_WRITES: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 5_000.0, 20_000.0];

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One line of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct MetricInfo {
    /// The name in the text format.
    pub name: &'static str,
    /// What it says, with its unit.
    pub help: &'static str,
    /// Its labels, in the order of `with_label_values`.
    pub labels: &'static [&'static str],
    /// What it measures.
    pub kind: Kind,
}

/// All metrics of one daemon, with a registry of their own, so that two
/// daemons in one test process don't share counts. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Metrics {
    families: Arc<Families>,
}

impl Deref for Metrics {
    type Target = Families;
    fn deref(&self) -> &Families {
        &self.families
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let families = Families::new(registry);
        families.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            if let Err(error) = families.registry.register(Box::new(process)) {
                tracing::warn!(%error, "the process's own metrics are missing");
            }
        }
        Self { families: Arc::new(families) }
    }

    /// The present values in the Prometheus text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = Vec::new();
        // Can't fail: registration has checked the families, and a Vec takes all that is written.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// How a type of metric is made from a line of the catalogue.
trait Family: Collector + Clone + Sized + 'static {
    const KIND: Kind;
    fn make(info: &MetricInfo, buckets: &[f64]) -> prometheus::Result<Self>;
    /// Gives it a series: a family without one is not exported.
    #[cfg(test)]
    fn touch(&self, labels: &[&str]);
}

macro_rules! families {
    (one $type:ty, $kind:ident, |$info:ident, $buckets:ident| $make:expr) => {
        impl Family for $type {
            const KIND: Kind = Kind::$kind;
            fn make($info: &MetricInfo, $buckets: &[f64]) -> prometheus::Result<Self> {
                $make
            }
            #[cfg(test)]
            fn touch(&self, _: &[&str]) {}
        }
    };
    (labelled $type:ty, $kind:ident, |$info:ident, $buckets:ident| $make:expr) => {
        impl Family for $type {
            const KIND: Kind = Kind::$kind;
            fn make($info: &MetricInfo, $buckets: &[f64]) -> prometheus::Result<Self> {
                $make
            }
            #[cfg(test)]
            fn touch(&self, labels: &[&str]) {
                drop(self.with_label_values(labels));
            }
        }
    };
}
families!(one IntGauge, Gauge, |info, _none| Self::with_opts(info.opts()));
families!(one Histogram, Histogram, |info, buckets| Self::with_opts(info.histogram(buckets)));
families!(labelled IntGaugeVec, Gauge, |info, _none| Self::new(info.opts(), info.labels));
families!(labelled GaugeVec, Gauge, |info, _none| Self::new(info.opts(), info.labels));
families!(labelled IntCounterVec, Counter, |info, _none| Self::new(info.opts(), info.labels));
families!(labelled HistogramVec, Histogram, |info, buckets| {
    Self::new(info.histogram(buckets), info.labels)
});

impl MetricInfo {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    fn histogram(&self, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts::from(self.opts()).buckets(buckets.to_vec())
    }
}

#[expect(
    clippy::expect_used,
    reason = "names, labels and buckets are constants, and every test that makes a `Metrics` \
              registers all of them"
)]
fn registered<F: Family>(registry: &Registry, info: &MetricInfo, buckets: &[f64]) -> F {
    let family = F::make(info, buckets).expect("the table's names, labels and buckets are valid");
    registry.register(Box::new(family.clone())).expect("the table's names are unique");
    family
}

macro_rules! metrics {
    (@info $field:ident $type:ident [$($label:literal),*] $help:literal) => {
        MetricInfo {
            name: concat!("meritd_", stringify!($field)),
            help: $help,
            labels: &[$($label),*],
            kind: <$type as Family>::KIND,
        }
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
    ($($field:ident: $type:ident [$($label:literal),*] $(in $buckets:ident)?, $help:literal;)*) => {
        /// The typed handles, one a metric.
        #[derive(Debug)]
        pub struct Families {
            registry: Registry,
            $(#[doc = $help] pub $field: $type,)*
        }

        /// Every metric with its help, for documents and for tests of dashboards.
        pub const CATALOGUE: &[MetricInfo] = &[
            $(metrics!(@info $field $type [$($label),*] $help)),*
        ];

        impl Families {
            fn new(registry: Registry) -> Self {
                $(
                    let info = metrics!(@info $field $type [$($label),*] $help);
                    let buckets: &[f64] = metrics!(@buckets $($buckets)?);
                    let $field: $type = registered(&registry, &info, buckets);
                )*
                Self { registry, $($field),* }
            }

            #[cfg(test)]
            fn touch(&self) {
                $(self.$field.touch(&[$($label),*]);)*
            }
        }
    };
}

// The name in the text format is the field's with `meritd_` before it.
metrics! {
    build_info: IntGaugeVec ["version"],
        "Always 1; the version of the running meritd is its label.";
    ready: IntGauge [],
        "1 when every part works that work needs, else 0; /readyz names the part.";

    // guards
    breaker_state: IntGaugeVec ["dependency"],
        "State of the circuit breaker: 0 closed, 1 half-open, 2 open.";
    guard_calls_total: IntCounterVec ["dependency", "outcome"],
        "Attempts by outcome: ok, answer (a working dependency's no), overloaded, fault, timeout, \
         dropped, rejected_open, rejected_full.";
    guard_call_seconds: HistogramVec ["dependency"] in CALL_SECONDS,
        "Time of an attempt that reached the dependency, in seconds, without queueing.";
    guard_retries_total: IntCounterVec ["dependency"],
        "Attempts after a call's first.";
    guard_in_flight: IntGaugeVec ["dependency"],
        "Attempts under way.";
    guard_queued: IntGaugeVec ["dependency"],
        "Attempts that wait for a place in the bulkhead.";

    // endpoints
    endpoint_quarantined: IntGaugeVec ["endpoint"],
        "1 while the endpoint is not asked because it gave a wrong answer, else 0.";
    endpoint_lies_total: IntCounterVec ["endpoint", "kind"],
        "Wrong answers by what they were about: chain_id, header, logs, receipt, transaction, \
         malformed, other.";
    endpoint_hedges_total: IntCounterVec ["endpoint"],
        "Reads that were asked of the endpoint because another one was slow to answer.";

    // actors
    actor_up: IntGaugeVec ["actor"],
        "1 while an incarnation of the actor is alive, else 0.";
    actor_restarts_total: IntCounterVec ["actor", "reason"],
        "Restarts by reason: panicked, failed, frozen.";
    actor_failed: IntGaugeVec ["actor"],
        "1 when the actor was given up after too many restarts.";

    // chains and their contracts
    chain_head_block: IntGaugeVec ["chain"],
        "Newest block number that the chain's endpoints agree on.";
    chain_finalized_block: IntGaugeVec ["chain"],
        "Newest block number that can't be orphaned any more.";
    chain_reorgs_total: IntCounterVec ["chain"],
        "Reorgs seen.";
    chain_reorg_depth_blocks: IntGaugeVec ["chain"],
        "Blocks that the last reorg orphaned.";
    chain_agreed_block: IntGaugeVec ["chain"],
        "Newest block number that most of the chain's endpoints have.";
    chain_outvoted_total: IntCounterVec ["chain", "dependency"],
        "Times that most of the chain's endpoints had another block than this one.";
    chain_head_state: IntGaugeVec ["chain"],
        "State of the chain's head: 0 followed, 1 waiting for its endpoints, 2 frozen after a reorg below finality.";
    chain_looks_total: IntCounterVec ["chain"],
        "Looks at the chain's head: a few for each block.";
    chain_block_time_seconds: GaugeVec ["chain"],
        "Time between the chain's blocks as learnt from their arrival, in seconds.";
    endpoint_websocket_up: IntGaugeVec ["dependency"],
        "1 while the endpoint's WebSocket announces new heads, else 0.";
    contract_cursor_block: IntGaugeVec ["chain", "contract"],
        "Last block number of which all events of the contract are in the stream.";
    contract_lag_blocks: IntGaugeVec ["chain", "contract"],
        "Blocks from the contract's next block to the chain's head, its confirmations included.";
    backfill_remaining_blocks: IntGaugeVec ["chain", "contract"],
        "Final blocks that the contract has still to read; 0 once it follows the head.";
    feed_held_bytes: IntGaugeVec ["chain"],
        "Logs of final blocks that were read and that contracts have not yet taken, in bytes.";
    events_published_total: IntCounterVec ["chain", "contract"],
        "Events put into the stream.";
    retractions_total: IntCounterVec ["chain", "contract"],
        "Retractions of orphaned ranges put into the stream.";
    contract_rewinds_total: IntCounterVec ["chain", "contract"],
        "Times that a contract was read again because the stream lost messages, or a person resumed its chain.";

    // streams
    stream_publish_seconds: HistogramVec ["stream"] in CALL_SECONDS,
        "Time until the stream acknowledged a message or an atomic batch, in seconds.";
    stream_published_total: IntCounterVec ["stream"],
        "Messages that the stream acknowledged.";
    stream_mute: IntGaugeVec ["stream"],
        "1 while the broker answers, but no write to the stream, else 0.";
    broker_restarts_total: IntCounterVec ["reason"],
        "Restarts of the managed broker: because it had ended, or because it was mute.";
    consumer_pending_messages: IntGaugeVec ["consumer"],
        "Messages of the stream that the consumer has not yet been given.";

    // folds
    fold_events_total: IntCounterVec ["consumer"],
        "Events taken from the stream.";
    fold_undone_steps_total: IntCounterVec ["consumer"],
        "Steps undone because their blocks were orphaned.";
    fold_block: IntGaugeVec ["consumer", "chain"],
        "Last block number applied.";

    // business
    unlocks_total: IntCounterVec ["rule_set", "state"],
        "Unlocks by the state they reached.";
    paused: IntGaugeVec ["kind", "name"],
        "Whether a person has paused this signer or rule set (0 or 1).";
    dead_letters_total: IntCounterVec ["actor"],
        "Inputs that could not be processed and were set aside.";
    dead_letters_lost_total: IntCounterVec ["actor"],
        "Dead letters that their full stream refused: only the log has them.";
    benefits_changed_total: IntCounterVec ["governor"],
        "Changes of a holder's benefits.";
    cache_reads_total: IntCounterVec ["cache", "level"],
        "Reads of something that is cached, by who knew it: `process`, `bucket`, `store` or `nobody`.";
    facts_total: IntCounterVec ["source", "outcome"],
        "Facts sent from off chain, by what became of them: `taken`, `known`, `differs` or `refused`.";
    governance_differing_proposals: IntGaugeVec ["governor"],
        "Proposals that are in other states by their events than by the contract's word.";
    votes_total: IntCounterVec ["governor"],
        "Votes seen.";

    // signers
    transactions_total: IntCounterVec ["signer", "state"],
        "Transactions by the state they reached.";
    signer_queued_unlocks: IntGaugeVec ["signer"],
        "Unlock requests that have no transaction yet.";
    signer_in_flight_transactions: IntGaugeVec ["signer"],
        "Transactions signed and not yet final.";
    signer_next_nonce: IntGaugeVec ["signer"],
        "Nonce of the next transaction.";
    signer_balance_ether: GaugeVec ["signer"],
        "Balance of the signer's address, in ether.";
    signer_drift_unlocks: IntGaugeVec ["signer"],
        "Unlocks that had landed and were not on the chain when they were last compared.";
    signer_oldest_transaction_seconds: IntGaugeVec ["signer"],
        "Age of the oldest transaction that is not confirmed, in seconds; 0 without any.";
    send_outcomes_total: IntCounterVec ["signer", "outcome"],
        "Answers of endpoints to broadcasts, the best of each, by what they mean.";
    signer_spent_today_ether: GaugeVec ["signer"],
        "Fees paid since midnight UTC, in ether.";
    rule_set_spent_today_ether: GaugeVec ["signer", "rule_set"],
        "A rule set's share of the fees paid since midnight UTC, in ether.";
    transaction_gas_used_ratio: HistogramVec ["signer"] in GAS_RATIO,
        "Gas used divided by the transaction's gas limit, 0 to 1.";
    unlock_latency_seconds: HistogramVec ["rule_set"] in UNLOCK_SECONDS,
        "Time from the request of an unlock to its confirmation on chain, in seconds.";

    // store
    store_commit_seconds: Histogram [] in CALL_SECONDS,
        "Time of a durable store transaction, in seconds.";
    store_commit_writes: Histogram [] in COMMIT_WRITES,
        "Puts and deletes in a store transaction.";
    store_file_bytes: IntGauge [],
        "Size of the store's file, in bytes.";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_has_a_help_sentence_and_a_name_with_its_unit() {
        // Things that are counted or named need no unit; all that is measured does.
        let plain = [
            "_info",
            "_ready",
            "_state",
            "_flight",
            "_queued",
            "_up",
            "_failed",
            "_block",
            "_nonce",
            "_quarantined",
            "_paused",
            "_mute",
        ];
        let units = [
            "_blocks",
            "_messages",
            "_proposals",
            "_unlocks",
            "_transactions",
            "_ether",
            "_bytes",
            "_seconds",
        ];
        for MetricInfo { name, help, kind, labels } in CATALOGUE {
            assert!(help.len() > 10 && help.ends_with('.'), "{name}: {help}");
            let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
            match kind {
                Kind::Counter => assert!(ends(&["_total"]), "{name}"),
                Kind::Histogram => assert!(ends(&["_seconds", "_ratio", "_writes"]), "{name}"),
                Kind::Gauge => assert!(ends(&plain) || ends(&units), "{name}"),
            }
            for word in ["seconds", "bytes", "ether"] {
                let told = name.ends_with(&format!("_{word}"));
                assert!(!told || help.contains(word), "{name} doesn't tell its unit in its help");
            }
            assert!(
                labels
                    .iter()
                    .all(|label| label.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            );
        }
        let names: HashSet<_> = CATALOGUE.iter().map(|info| info.name).collect();
        assert_eq!(names.len(), CATALOGUE.len(), "a name stands twice");
    }

    #[test]
    fn the_text_format_has_each_metric_once_with_help_type_and_series() {
        let metrics = Metrics::new();
        metrics.touch();
        let text = metrics.encode();
        let mut types = HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap().to_owned();
                assert!(types.insert(name), "twice: {line}");
            } else if !line.starts_with("# HELP ") {
                let (series, value) = line.rsplit_once(' ').expect(line);
                assert!(value.parse::<f64>().is_ok(), "{line}");
                let name = series.split('{').next().unwrap();
                let family = ["_bucket", "_sum", "_count"]
                    .iter()
                    .filter_map(|end| name.strip_suffix(end))
                    .find(|name| types.contains(*name))
                    .unwrap_or(name);
                assert!(types.contains(family), "series before its type: {line}");
            }
        }
        for info in CATALOGUE {
            assert!(types.contains(info.name), "{} is not exported", info.name);
            assert!(
                text.contains(&format!("# HELP {} {}\n", info.name, info.help)),
                "{}",
                info.name
            );
        }
        assert!(text.contains(concat!(
            "meritd_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        )));
        #[cfg(target_os = "linux")]
        assert!(types.contains("process_resident_memory_bytes"));
    }

    #[test]
    fn every_metric_stands_in_the_documents_and_no_other() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `meritd_"));
        let told: HashSet<_> = rows
            .map(|row| format!("meritd_{}", row.split('`').next().unwrap()))
            .filter(|name| !name.contains(' '))
            .collect();
        let known: HashSet<_> = CATALOGUE.iter().map(|info| info.name.to_owned()).collect();
        let apart: Vec<_> = told.symmetric_difference(&known).collect();
        assert!(apart.is_empty(), "{apart:?}");
    }

    #[test]
    fn two_daemons_in_one_process_count_apart() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.clone().votes_total.with_label_values(&["dao"]).inc();
        assert_eq!(one.votes_total.with_label_values(&["dao"]).get(), 1);
        assert_eq!(other.votes_total.with_label_values(&["dao"]).get(), 0);
    }
}
