//! One table for people, one line for programs.

use serde_json::{Value as Json, json};

use super::{latency::Latency, results::Part, sustained::Sustained};

/// All that was measured, here and by the other benches.
pub struct Report {
    pub parts: Vec<Part>,
    pub sustained: Sustained,
    pub latencies: Vec<Latency>,
}

impl Report {
    /// All figures that are held against a limit.
    pub fn parts(&self) -> Vec<Part> {
        let whole = Part {
            what: "whole: events/s to an unlock".to_owned(),
            measured: self.sustained.per_s(),
            limit: self.sustained.node_per_s(),
            against: "the node's logs, to a bare client",
        };
        self.parts.iter().cloned().chain([whole]).collect()
    }

    pub fn print(&self) {
        println!("{:<36}{:>10}{:>10}{:>8}   of", "", "measured", "limit", "ratio");
        for part in self.parts() {
            let (measured, limit) = (part.measured, part.limit);
            let Part { what, against, .. } = &part;
            println!("{what:<36}{measured:>10.0}{limit:>10.0}{:>8.2}   {against}", part.ratio());
        }
        println!();
        println!("{:<36}{:>10}{:>10}{:>10}", "block to broadcast, ms", "median", "p99", "most");
        for latency in &self.latencies {
            let what = format!("at {} events/s, {} unlocks", latency.rate, latency.took_ms.len());
            let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| latency.at(share));
            println!("{what:<36}{p50:>10.0}{p99:>10.0}{most:>10.0}");
        }
        println!();
        let Sustained { cpu, peak, .. } = &self.sustained;
        println!("{:<36}{:>10}{:>10}", "a million events", "meritd", "broker");
        let [daemon, broker] = cpu.map(|seconds| self.sustained.a_million(seconds));
        println!("{:<36}{daemon:>10.1}{broker:>10.1}", "processor seconds");
        println!("{:<36}{:>10.0}{:>10.0}", "peak memory of the backlog, MiB", peak[0], peak[1]);
    }

    pub fn json(&self) -> Json {
        let hundredths = |number: f64| (number * 100.0).round() / 100.0;
        let sustained = &self.sustained;
        let ratios =
            self.parts().into_iter().map(|it| (it.what.clone(), json!(hundredths(it.ratio()))));
        let latency = |it: &Latency| {
            let ms = json!({ "p50_ms": hundredths(it.at(0.5)), "p99_ms": hundredths(it.at(0.99)) });
            (it.rate.to_string(), ms)
        };
        json!({
            "bench": "pipeline",
            "ratios": ratios.collect::<serde_json::Map<_, _>>(),
            "sustained_events_per_s": sustained.per_s().round(),
            "node_logs_per_s": sustained.node_per_s().round(),
            "block_to_broadcast": self.latencies.iter().map(latency).collect::<serde_json::Map<_, _>>(),
            "cpu_s_per_million": hundredths(sustained.a_million(sustained.cpu[0])),
            "broker_cpu_s_per_million": hundredths(sustained.a_million(sustained.cpu[1])),
            "peak_rss_mib": hundredths(sustained.peak[0]),
        })
    }
}
