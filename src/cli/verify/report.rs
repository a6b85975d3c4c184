//! What came of it.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::json;

use super::{super::span::Range, difference::Difference};
use crate::domain::Name;

/// Differences that are listed; more are only counted.
const LISTED_MAX: usize = 1_000;

/// One contract's part.
#[derive(Debug, Serialize)]
pub(super) struct Covered {
    pub(super) contract: Name,
    /// Absent when the stream has no watermark of it in the span.
    pub(super) from_block: Option<u64>,
    pub(super) to_block: Option<u64>,
    /// Events on chain, in the blocks that were looked at.
    pub(super) events: u64,
}

impl Covered {
    pub(super) fn new(contract: Name, span: Option<Range>) -> Self {
        let (from_block, to_block) = (span.map(|span| span.from), span.map(|span| span.to));
        Self { contract, from_block, to_block, events: 0 }
    }
}

/// The whole.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) chain: String,
    pub(super) seed: u64,
    pub(super) sampled: bool,
    pub(super) contracts: Vec<Covered>,
    pub(super) ranges: u64,
    pub(super) blocks: u64,
    pub(super) proved: u64,
    /// Blocks by why they are not proved.
    pub(super) unproved: BTreeMap<String, u64>,
    /// Logs of ours that can't be decoded: dead letters, no differences.
    pub(super) undecodable: u64,
    /// Events that were too large for the stream: dead letters, too.
    pub(super) set_aside: u64,
    /// Messages on our subjects that can't be read.
    pub(super) unreadable: u64,
    /// Differences in blocks that the daemon took back meanwhile.
    pub(super) unsettled: u64,
    /// Endpoints that were not asked, and why.
    pub(super) left_out: Vec<String>,
    pub(super) took: Duration,
    listed: Vec<Difference>,
    unlisted: u64,
}

impl Report {
    pub(super) fn new(chain: &Name, seed: u64, sampled: bool) -> Self {
        Self { chain: chain.to_string(), seed, sampled, ..Self::default() }
    }

    pub(super) fn add(&mut self, found: impl IntoIterator<Item = Difference>) {
        for difference in found {
            if self.listed.len() < LISTED_MAX {
                self.listed.push(difference);
            } else {
                self.unlisted += 1;
            }
        }
    }

    /// Drops differences that turn out to be none; gives how many.
    pub(super) fn drop_where(&mut self, mut no: impl FnMut(&Difference) -> bool) -> u64 {
        let before = self.listed.len();
        self.listed.retain(|difference| !no(difference));
        (before - self.listed.len()) as u64
    }

    pub(super) fn listed(&self) -> &[Difference] {
        &self.listed
    }

    pub(super) fn differences(&self) -> u64 {
        self.listed.len() as u64 + self.unlisted
    }

    pub(super) fn events(&self) -> u64 {
        self.contracts.iter().map(|covered| covered.events).sum()
    }

    pub(super) fn json(&self) -> String {
        let unproved: Vec<_> = self
            .unproved
            .iter()
            .map(|(why, blocks)| json!({ "blocks": blocks, "because": why }))
            .collect();
        let whole = json!({
            "ok": self.differences() == 0,
            "chain": self.chain,
            "sampled": self.sampled,
            "seed": self.seed,
            "contracts": self.contracts,
            "ranges": self.ranges,
            "blocks": self.blocks,
            "events": self.events(),
            "proved_blocks": self.proved,
            "not_proved": unproved,
            "undecodable_logs": self.undecodable,
            "oversized_events": self.set_aside,
            "unreadable_messages": self.unreadable,
            "taken_back_meanwhile": self.unsettled,
            "endpoints_left_out": self.left_out,
            "differences": self.listed,
            "differences_total": self.differences(),
            "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
        });
        format!("{whole:#}")
    }

    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!("{:<24} {:<21} {:>8}", "contract", "blocks", "events")];
        for Covered { contract, from_block, to_block, events } in &self.contracts {
            let span = match from_block.zip(*to_block) {
                Some((from, to)) => format!("{from}–{to}"),
                None => "none yet".to_owned(),
            };
            let contract = contract.as_str();
            lines.push(format!("{contract:<24} {span:<21} {events:>8}"));
        }
        lines.push(String::new());
        if !self.listed.is_empty() {
            lines.push(format!(
                "{:<9} {:<18} {:>10} {:>5}  {:<66} {:<66} what",
                "kind", "contract", "block", "log", "event", "transaction"
            ));
        }
        let dash = || "-".to_owned();
        for difference in &self.listed {
            let log = difference.log_index.map_or_else(dash, |index| index.to_string());
            let event = difference.event.map_or_else(dash, |id| id.to_string());
            let transaction = difference.transaction.map_or_else(dash, |hash| hash.to_string());
            let contract = difference.contract.as_ref().map_or("-", Name::as_str);
            lines.push(format!(
                "{:<9} {contract:<18} {:>10} {log:>5}  {event:<66} {transaction:<66} {}",
                difference.kind, difference.block, difference.detail
            ));
        }
        if self.unlisted > 0 {
            lines.push(format!("and {} more", self.unlisted));
        }
        lines.extend(self.left_out.iter().map(|why| format!("not asked: {why}")));
        for (why, blocks) in &self.unproved {
            lines.push(format!("not proved: {blocks} blocks, because {why}"));
        }
        let counted = [
            (self.undecodable, "logs can't be decoded: they are dead letters"),
            (self.set_aside, "events are too large for the stream: they are dead letters"),
            (self.unreadable, "messages on these subjects can't be read: nobody uses them"),
            (self.unsettled, "differences are in blocks that were taken back meanwhile"),
        ];
        let told = counted.iter().filter(|(count, _)| *count > 0);
        lines.extend(told.map(|(count, what)| format!("{count} {what}")));
        let kind = if self.sampled { "sampled" } else { "verified" };
        lines.push(format!(
            "{kind} {} blocks of chain {} (ranges: {}), {} events; {} blocks proved; {} \
             differences; {:.1} s (seed {})",
            self.blocks,
            self.chain,
            self.ranges,
            self.events(),
            self.proved,
            self.differences(),
            self.took.as_secs_f64(),
            self.seed,
        ));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::difference::Kind, *};

    fn difference(block: u64) -> Difference {
        Difference {
            kind: Kind::Missing,
            contract: Some(Name::new("dao").unwrap()),
            block,
            transaction: None,
            log_index: Some(2),
            event: None,
            detail: "it is on chain and not in the stream".to_owned(),
        }
    }

    #[test]
    fn a_flood_of_differences_is_counted_whole_and_listed_in_part() {
        let mut report = Report::default();
        report.add((0..1_200).map(difference));
        assert_eq!((report.differences(), report.listed().len()), (1_200, LISTED_MAX));
        assert_eq!(report.drop_where(|difference| difference.block >= 900), 100);
        assert_eq!(report.differences(), 1_100);
        assert!(report.text().contains("and 200 more"));
    }

    #[test]
    fn what_could_not_be_proved_is_said_and_is_no_difference() {
        let mut report = Report::new(&Name::new("local").unwrap(), 9, false);
        report.unproved.insert("the endpoints give no receipts".to_owned(), 12);
        report.contracts.push(Covered::new(Name::new("dao").unwrap(), None));
        let text = report.text();
        assert!(text.contains("not proved: 12 blocks, because the endpoints give no"), "{text}");
        assert!(text.contains("none yet") && text.contains("(seed 9)"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!((&json["ok"], &json["not_proved"][0]["blocks"]), (&true.into(), &12.into()));
        report.add([difference(4)]);
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(
            (&json["ok"], &json["differences"][0]["kind"]),
            (&false.into(), &"missing".into())
        );
        assert_eq!(json["differences"][0]["log_index"], 2);
    }
}
