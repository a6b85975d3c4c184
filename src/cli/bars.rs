//! Progress bars of a terminal, one for each contract that reads history; log
//! lines go above them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value as Json;
use tracing_subscriber::fmt::MakeWriter;

use super::backfill::Backfill;

/// How often they are drawn.
pub(super) const EVERY: Duration = Duration::from_millis(500);
/// Bars that a terminal has room for.
const BARS_MAX: usize = 8;
const TEMPLATE: &str = "{prefix:<28} {bar:24} {percent:>3} %  {msg}";

/// The bars of standard error.
#[derive(Clone)]
pub(super) struct Bars {
    all: MultiProgress,
}

/// Those that are shown.
pub(super) struct Shown {
    bars: Bars,
    style: ProgressStyle,
    shown: BTreeMap<String, ProgressBar>,
}

impl Bars {
    /// None are shown yet.
    pub(super) fn new() -> Self {
        Self { all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(4)) }
    }

    /// What shows them.
    pub(super) fn shown(&self) -> Shown {
        // The template is a constant, and its test draws it.
        let style = ProgressStyle::with_template(TEMPLATE);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Shown { bars: self.clone(), style, shown: BTreeMap::new() }
    }
}

impl Shown {
    /// Draws what the daemon's status says.
    pub(super) fn draw(&mut self, status: &Json) {
        let actors = status.get("actors").and_then(Json::as_array);
        let reading: BTreeMap<String, Backfill> = actors
            .into_iter()
            .flatten()
            .filter_map(Backfill::of)
            .map(|history| (history.name.clone(), history))
            .collect();
        self.shown.retain(|name, bar| {
            let reads = reading.contains_key(name);
            if !reads {
                bar.finish_and_clear();
            }
            reads
        });
        for (name, history) in &reading {
            if !self.shown.contains_key(name) && self.shown.len() >= BARS_MAX {
                continue;
            }
            let bar = self.shown.entry(name.clone()).or_insert_with(|| {
                let bar = self.bars.all.add(ProgressBar::new(1));
                bar.with_style(self.style.clone()).with_prefix(name.clone())
            });
            let (read, all) = history.blocks();
            bar.set_length(all);
            bar.set_message(history.pace());
            bar.set_position(read);
        }
    }
}

impl Drop for Shown {
    /// Takes them away.
    fn drop(&mut self) {
        for bar in self.shown.values() {
            bar.finish_and_clear();
        }
    }
}

/// Writes a log line while the bars are away.
pub(super) struct Above(MultiProgress);

impl<'a> MakeWriter<'a> for Bars {
    type Writer = Above;

    fn make_writer(&'a self) -> Above {
        Above(self.all.clone())
    }
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use indicatif::InMemoryTerm;
    use serde_json::json;

    use super::*;

    fn status(reading: &[(&str, u64)]) -> Json {
        let actor = |(name, next): &(&str, u64)| {
            json!({ "name": name, "observed": { "backfill": {
                "from": 0, "next": next, "target": 3_999,
                "blocks_per_s": 12.5, "events_per_s": 100.2, "eta_s": 180,
            } } })
        };
        json!({ "actors": reading.iter().map(actor).collect::<Vec<_>>() })
    }

    #[test]
    fn each_contract_that_reads_history_has_a_bar_until_it_is_done() {
        let terminal = InMemoryTerm::new(10, 120);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bars = Bars { all: MultiProgress::with_draw_target(target) };
        let mut shown = bars.shown();
        shown.draw(&status(&[("contract/dao", 1_000), ("contract/badge", 4_000)]));
        let drawn = terminal.contents();
        assert_eq!(drawn.lines().count(), 2, "{drawn}");
        assert!(drawn.contains("contract/dao") && drawn.contains("25 %"), "{drawn}");
        assert!(drawn.contains("12 blocks/s, 100 events/s, 3m 0s left"), "{drawn}");
        shown.draw(&status(&[("contract/dao", 2_000)]));
        let drawn = terminal.contents();
        assert!(drawn.contains("50 %") && !drawn.contains("badge"), "{drawn}");
        shown.draw(&json!({}));
        assert_eq!(terminal.contents().trim(), "");
        let crowd: Vec<String> = (0..30).map(|n| format!("contract/c{n}")).collect();
        let crowd: Vec<(&str, u64)> = crowd.iter().map(|name| (name.as_str(), 5)).collect();
        shown.draw(&status(&crowd));
        assert_eq!(terminal.contents().lines().count(), BARS_MAX);
        drop(shown);
        assert_eq!(terminal.contents().trim(), "");
    }
}
