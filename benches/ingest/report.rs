//! The table for people and the line for programs.

use serde::Serialize;
use serde_json::{Value, json};

use super::{backfill::Backfill, head::Head, limit::IN_FLIGHT, server::Counters};

/// The disk is called unsteady when it took so many times as long.
const UNSTEADY: f64 = 1.5;

/// Everything that was measured.
#[derive(Default)]
pub struct Report {
    /// The backfill that the limit is compared with.
    pub main: Option<Backfill>,
    /// The same with the streams in memory: what the daemon's own work costs.
    pub in_memory: Option<Backfill>,
    /// A longer one: by how much, and what came of it.
    pub scaled: Option<(u64, Backfill)>,
    /// Throughput with receipts against without.
    pub receipts_ratio: Option<f64>,
    /// Single blocks.
    pub head: Option<Head>,
    /// Calls for 10,000 quiet blocks with one contract.
    pub calls_1: Option<Counters>,
    /// The same with twenty.
    pub calls_20: Option<Counters>,
}

impl Counters {
    /// All calls.
    pub fn total(&self) -> u64 {
        self.calls.values().sum()
    }

    fn row(&self) -> String {
        let calls: Vec<_> = self.calls.iter().map(|(method, n)| format!("{method} {n}")).collect();
        format!("{} in {} requests ({})", self.total(), self.http_requests, calls.join(", "))
    }
}

impl Report {
    /// Writes both to stdout.
    pub fn print(&self) {
        let row = |what: &str, value: String| println!("{what:<36}{value}");
        if let Some(main) = &self.main {
            backfill_rows(main);
            disk_rows(main);
            if let Some(limit) = &main.limit {
                row("limit, messages/s", format!("{:.0}", limit.per_s()));
                row("ratio", format!("{:.3}", main.per_s() / limit.per_s()));
                for (batches, rate) in [(1, limit.one), (IN_FLIGHT, limit.several)] {
                    let each = rate.broker_cpu_s * 1e6 / rate.messages.max(1) as f64;
                    row(
                        &format!("limit, batches under way: {batches}"),
                        format!("{:.0}/s, nats-server uses {each:.1} us each", rate.per_s()),
                    );
                }
            }
        }
        if let Some((rate, limit)) = self.in_memory.as_ref().and_then(Backfill::rates) {
            let ratio = rate / limit;
            row("in memory: events/s, limit, ratio", format!("{rate:.0}, {limit:.0}, {ratio:.3}"));
        }
        if let Some(ratio) = self.receipts_ratio {
            row("receipts against none", format!("{ratio:.3}"));
        }
        if let Some(head) = &self.head {
            row("head: single blocks", head.blocks.to_string());
            row("head: median, p99", format!("{:.1} ms, {:.1} ms", head.p50_ms, head.p99_ms));
            row(
                "head: poll, round trip",
                format!("{} ms, {:.2} ms", head.poll_ms, head.round_trip_ms),
            );
            row("head: calls meanwhile", head.counters.row());
        }
        for (contracts, counters) in [(1, &self.calls_1), (20, &self.calls_20)] {
            if let Some(counters) = counters {
                row(&format!("10,000 quiet blocks, contracts: {contracts}"), counters.row());
            }
        }
        if let Some((scale, scaled)) = &self.scaled {
            println!("-- {scale} times the logs");
            backfill_rows(scaled);
        }
        // Numbers and names only: it can be written.
        println!("{}", serde_json::to_string(&self.line()).unwrap_or_default());
    }

    fn line(&self) -> Line {
        let main = self.main.as_ref();
        let limit = main.and_then(|main| main.limit);
        let memory = self.in_memory.as_ref().and_then(Backfill::rates);
        let head = self.head.as_ref();
        let calls = |counters: &Option<Counters>| counters.as_ref().map(Counters::total);
        let scaled = self.scaled.as_ref();
        Line {
            bench: "ingest",
            events_per_s: main.map(|main| main.per_s().round()),
            limit_events_per_s: limit.map(|limit| limit.per_s().round()),
            ratio: main.zip(limit).map(|(main, limit)| rounded(main.per_s() / limit.per_s(), 3)),
            peak_rss_mib: main.map(|main| rounded(main.peak_rss_mib, 1)),
            head_p50_ms: head.map(|head| rounded(head.p50_ms, 2)),
            head_p99_ms: head.map(|head| rounded(head.p99_ms, 2)),
            receipts_ratio: self.receipts_ratio.map(|ratio| rounded(ratio, 3)),
            further: json!({
                "events": main.map(|main| main.events),
                "disk_probe_ms": main.map(|main| &main.disk_ms),
                "in_memory_events_per_s": memory.map(|(rate, _)| rate.round()),
                "in_memory_limit_events_per_s": memory.map(|(_, limit)| limit.round()),
                "in_memory_ratio": memory.map(|(rate, limit)| rounded(rate / limit, 3)),
                "seconds": main.map(|main| rounded(main.seconds, 2)),
                "seconds_from_start": main.map(|main| rounded(main.from_start_s, 2)),
                "cpu_s": main.map(|main| json!({
                    "meritd": rounded(main.cpu_s[0], 2),
                    "nats_server": rounded(main.cpu_s[1], 2),
                    "endpoint": rounded(main.cpu_s[2], 2),
                })),
                "limit_one_batch_per_s": limit.map(|limit| limit.one.per_s().round()),
                "limit_several_batches_per_s": limit.map(|limit| limit.several.per_s().round()),
                "endpoint_logs_per_s": main.map(|main| main.endpoint.logs_per_s.round()),
                "endpoint_rss_mib": main.map(|main| rounded(main.endpoint_rss_mib, 1)),
                "backfill_calls": main.map(|main| &main.counters),
                "head_blocks": head.map(|head| head.blocks),
                "head_poll_ms": head.map(|head| head.poll_ms),
                "head_round_trip_ms": head.map(|head| rounded(head.round_trip_ms, 3)),
                "calls_per_10k_blocks_1": calls(&self.calls_1),
                "calls_per_10k_blocks_20": calls(&self.calls_20),
                "scale": scaled.map(|(scale, _)| scale),
                "scaled_events_per_s": scaled.map(|(_, scaled)| scaled.per_s().round()),
                "scaled_peak_rss_mib": scaled.map(|(_, scaled)| rounded(scaled.peak_rss_mib, 1)),
            }),
        }
    }
}

/// The line for programs: what is promised first, in this order. What was not
/// measured is null.
#[derive(Serialize)]
struct Line {
    bench: &'static str,
    events_per_s: Option<f64>,
    limit_events_per_s: Option<f64>,
    ratio: Option<f64>,
    peak_rss_mib: Option<f64>,
    head_p50_ms: Option<f64>,
    head_p99_ms: Option<f64>,
    receipts_ratio: Option<f64>,
    #[serde(flatten)]
    further: Value,
}

fn backfill_rows(backfill: &Backfill) {
    let row = |what: &str, value: String| println!("{what:<36}{value}");
    let bytes_each = backfill.bytes as f64 / backfill.events.max(1) as f64;
    let [daemon, broker, endpoint] = backfill.cpu_s;
    row("events", format!("{}, {bytes_each:.0} bytes each in the stream", backfill.events));
    row(
        "time",
        format!("{:.1} s ({:.1} s from the start)", backfill.seconds, backfill.from_start_s),
    );
    row("events/s, durable", format!("{:.0}", backfill.per_s()));
    let per_batch = backfill.events as f64 / backfill.watermarks.max(1) as f64;
    row("watermarks", format!("{}, {per_batch:.0} events each", backfill.watermarks));
    row("peak memory of meritd", format!("{:.0} MiB", backfill.peak_rss_mib));
    row(
        "processor time",
        format!("meritd {daemon:.1} s, nats-server {broker:.1} s, endpoint {endpoint:.1} s"),
    );
    row("calls", backfill.counters.row());
    row(
        "endpoint by itself",
        format!("{:.0} logs/s, {:.0} MiB", backfill.endpoint.logs_per_s, backfill.endpoint_rss_mib),
    );
}

fn disk_rows(backfill: &Backfill) {
    let shown: Vec<_> = backfill.disk_ms.iter().map(|ms| format!("{ms:.1}")).collect();
    let (least, most) =
        backfill.disk_ms.iter().fold((f64::MAX, 0.0_f64), |(a, b), ms| (a.min(*ms), b.max(*ms)));
    let note = if most > UNSTEADY * least { " (unsteady: mistrust the ratio)" } else { "" };
    println!("{:<36}{} ms{note}", "disk, 1 MiB made durable", shown.join(", "));
}

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}
