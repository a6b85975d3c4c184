//! What was measured, for people and for scripts.

use std::fmt::Write as _;

use serde_json::json;

use super::{
    burst::{Burst, as_f64},
    latency::Latency,
    queue::Queue,
};

/// All of it.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub latency: Latency,
    pub burst: Burst,
    /// Unlocks per second that the node takes from a bare client.
    pub node: f64,
    pub queue: Queue,
}

impl Report {
    fn gas_ratio(&self) -> f64 {
        as_f64(self.burst.gas) / as_f64(self.latency.gas.max(1))
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let Self { latency, burst, node, queue } = self;
        let mut text = String::new();
        let mut row = |what: &str, value: String| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{what:<44} {value}");
        };
        row("unlocks landed", format!("{} in {} s", burst.unlocks, burst.seconds));
        row("unlocks per second", format!("{:.0}", burst.per_second()));
        row("what blocks of a second could take", format!("{:.0}", burst.ceiling()));
        row("ratio", format!("{:.2}", burst.per_second() / burst.ceiling()));
        row("what the node takes from a bare client", format!("{node:.0}"));
        row(
            "blocks without room for another batch",
            format!("{} of {}", burst.full_blocks, burst.seconds),
        );
        let cores = burst.cpu.map(|seconds| format!("{:.2}", seconds / burst.elapsed));
        let [node_cores, daemon_cores, broker_cores] = &cores;
        row(
            "cores taken by node, daemon and broker",
            format!("{node_cores}, {daemon_cores}, {broker_cores}"),
        );
        row("most transactions in flight", burst.in_flight.to_string());
        row("gas of an unlock in a batch, and alone", format!("{} / {}", burst.gas, latency.gas));
        row("ratio", format!("{:.2}", self.gas_ratio()));
        row(
            "from request to broadcast, median and p99",
            format!("{} / {} ms", latency.p50.as_millis(), latency.p99.as_millis()),
        );
        row(
            "memory with requests queued",
            format!("{} MiB with {}, {} before", queue.with_mib, queue.queued, queue.before_mib),
        );
        text
    }

    /// One line for scripts.
    pub fn json(&self) -> String {
        let Self { latency, burst, node, queue } = self;
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let hundredths = |value: f64| (value * 100.0).round() / 100.0;
        json!({
            "bench": "signing",
            "unlocks_per_s": hundredths(burst.per_second()),
            "ceiling_per_s": hundredths(burst.ceiling()),
            "ratio": hundredths(burst.per_second() / burst.ceiling()),
            "node_per_s": hundredths(*node),
            "gas_ratio_batched": hundredths(self.gas_ratio()),
            "request_to_broadcast_p50_ms": ms(latency.p50),
            "p99_ms": ms(latency.p99),
            "in_flight": burst.in_flight,
            "queued": queue.queued,
            "queued_rss_mib": queue.with_mib,
        })
        .to_string()
    }
}
