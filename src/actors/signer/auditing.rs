//! Compares what the books say has landed with the chain: all that landed of
//! late, and a sample of the rest, now and then; or as much as a person asks
//! for, who may have what is missing landed again.
//!
//! Nothing is repaired by itself: whoever took an achievement away may have had
//! a reason. What was merely seen on the chain, without a transaction of ours, and was
//! not final, is another matter: a reorg takes it away without a word, so that each
//! reorg has it looked at again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use actix::Message;
use alloy::primitives::Address;
use rand::seq::IteratorRandom as _;
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};

use super::{SignerActor, Trouble, books::Books};
use crate::{
    actors::{messages, outbox::owned_key},
    chain::cursor::ChainView,
    chance::Chance,
    domain::{BlockRef, Name, UnlockId},
    signing::{
        calls::Target,
        item::Item,
        ledger::{Changes, item_key},
    },
    store::Table,
    supervisor::Receives,
};

/// Asks for a comparison.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Audit {
    /// So many of those that landed, drawn; `None`: all.
    pub sample: Option<usize>,
    /// Whether what is missing is landed again.
    pub repair: bool,
    /// Hears what came of it.
    pub reply: oneshot::Sender<AuditReport>,
}

/// An effect of which books and chain say different things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drifted {
    /// The effect.
    pub unlock: UnlockId,
    /// Whose.
    #[serde(with = "crate::domain::unlock::checksummed")]
    pub user: Address,
    /// Which achievement.
    pub achievement: Name,
    /// The rule set that asked for it.
    pub rule_set: Name,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// So many were asked about.
    pub checked: u64,
    /// So many could not be: their contract can't be asked, or is gone from the
    /// configuration.
    pub not_asked: u64,
    /// They landed, and are not on the chain.
    pub missing: Vec<Drifted>,
    /// They were taken back, or never landed, and are on the chain.
    pub unexpected: Vec<Drifted>,
    /// What is missing is going to be landed again.
    pub repairing: bool,
    /// They were seen on the chain, in blocks that were not final, and are not there any
    /// more.
    #[serde(skip)]
    orphaned: Vec<UnlockId>,
}

/// A comparison under way.
pub(super) struct Auditing {
    queue: VecDeque<UnlockId>,
    report: AuditReport,
    repair: bool,
    reply: Option<oneshot::Sender<AuditReport>>,
}

/// When the next one is due, and what it looks at first.
pub(super) struct Audits {
    pub(super) asked: VecDeque<Audit>,
    pub(super) under_way: Option<Auditing>,
    /// What landed of late, the latest last.
    recent: VecDeque<UnlockId>,
    last: Option<Instant>,
    /// Missing ones that were told of.
    told: usize,
    /// The newest block when it was looked at last.
    seen: Option<BlockRef>,
}

/// Items asked about in one round.
const AT_ONCE: usize = 64;
/// What landed of late, and is compared each time.
const RECENT_MAX: usize = 256;
/// How many others are drawn each time.
const SAMPLE: usize = 64;
/// Comparisons that may wait: each is a person's.
const WAITING_MAX: usize = 4;
/// Drifted ones that a report names.
const NAMED_MAX: usize = 1000;

impl Audits {
    pub(super) fn new() -> Self {
        Self {
            asked: VecDeque::new(),
            under_way: None,
            recent: VecDeque::new(),
            last: None,
            told: 0,
            seen: None,
        }
    }

    /// After a reorg a comparison is due.
    fn heed(&mut self, view: &ChainView) {
        // Not to know the block any more is as good as a reorg.
        let is_there = |seen: BlockRef| view.header(seen.number) == Some(&seen);
        if self.seen.is_some_and(|seen| !is_there(seen)) {
            self.last = None;
        }
        self.seen = Some(view.latest);
    }

    /// Something landed.
    pub(super) fn landed(&mut self, id: UnlockId) {
        self.recent.push_back(id);
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }

    fn is_due(&self, every: Duration) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= every)
    }
}

impl SignerActor {
    /// Goes on with a comparison, or begins one that is due or was asked for.
    pub(super) async fn audit(&mut self, books: &mut Books) -> Result<bool, Trouble> {
        if let Some(view) = &*self.spec.link.view.borrow() {
            self.audits.heed(view);
        }
        if self.audits.under_way.is_none() {
            self.audits.under_way = self.next_audit(books);
        }
        let Some(auditing) = self.audits.under_way.take() else { return Ok(false) };
        Box::pin(self.audit_on(books, auditing)).await?;
        Ok(true)
    }

    async fn audit_on(&mut self, books: &mut Books, mut auditing: Auditing) -> Result<(), Trouble> {
        let count = auditing.queue.len().min(AT_ONCE);
        let part: Vec<UnlockId> = auditing.queue.drain(..count).collect();
        // When an endpoint fails, the rest is compared another time.
        self.compare(books, &part, &mut auditing.report).await?;
        if auditing.queue.is_empty() {
            self.conclude(books, auditing).await?;
        } else {
            self.audits.under_way = Some(auditing);
        }
        Ok(())
    }

    fn next_audit(&mut self, books: &Books) -> Option<Auditing> {
        let settled = || books.ledger.archived();
        let report = AuditReport::default();
        if let Some(Audit { sample, repair, reply }) = self.audits.asked.pop_front() {
            let queue = match sample {
                Some(count) => settled().choose_multiple(&mut Chance, count).into(),
                None => settled().collect(),
            };
            return Some(Auditing { queue, report, repair, reply: Some(reply) });
        }
        if !self.audits.is_due(self.spec.config.reconcile_every) {
            return None;
        }
        self.audits.last = Some(Instant::now());
        let mut ids: BTreeSet<UnlockId> = self.audits.recent.iter().copied().collect();
        ids.extend(settled().choose_multiple(&mut Chance, SAMPLE));
        let queue: VecDeque<UnlockId> = ids.into_iter().collect();
        (!queue.is_empty()).then_some(Auditing { queue, report, repair: false, reply: None })
    }

    async fn compare(
        &mut self,
        books: &Books,
        ids: &[UnlockId],
        report: &mut AuditReport,
    ) -> Result<(), Trouble> {
        let (deep, place) = self.spec.link.confirmed(self.spec.config.confirmations).await?;
        let finalized = self.spec.link.view.borrow().as_ref().map(|view| view.finalized);
        let mut items: BTreeMap<Name, Vec<Item>> = BTreeMap::new();
        for id in ids.iter().filter(|id| books.ledger.is_archived(**id)) {
            let key = owned_key(&self.owner(), &item_key(*id));
            let record = self.spec.shared.store.get(Table::Ledger, &key).await?;
            if let Some(item) = record.and_then(|it| serde_json::from_slice::<Item>(&it).ok()) {
                items.entry(item.request().contract.clone()).or_default().push(item);
            }
        }
        for (contract, items) in items {
            let Some(keeper) = self.spec.keepers.get(&contract).cloned() else {
                report.not_asked += items.len() as u64;
                continue;
            };
            let targets: Vec<_> = items.iter().map(|item| Target::from(item.request())).collect();
            let answers = self.have(&keeper, &targets, place).await?;
            for (item, answer) in items.iter().zip(answers) {
                let Some(has) = answer else {
                    report.not_asked += 1;
                    continue;
                };
                report.checked += 1;
                // Landed in a block that is not as deep as where it was asked.
                let young = item.landed.is_some_and(|landing| landing.block > deep);
                let was_seen = item.landed.filter(|it| it.tx_hash.is_none());
                let is_final = |block| finalized.is_none_or(|finalized| block <= finalized);
                if !young && !has && was_seen.is_some_and(|it| !is_final(it.block)) {
                    report.orphaned.push(item.id);
                    continue;
                }
                let list = match (item.landed.is_some(), has) {
                    (true, false) if !young => &mut report.missing,
                    (false, true) if item.rejected.is_none() => &mut report.unexpected,
                    _ => continue,
                };
                if list.len() < NAMED_MAX {
                    let request = item.request();
                    list.push(Drifted {
                        unlock: item.id,
                        user: request.user,
                        achievement: request.achievement.clone(),
                        rule_set: request.rule_set.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    async fn conclude(&mut self, books: &mut Books, auditing: Auditing) -> Result<(), Trouble> {
        let Auditing { mut report, repair, reply, .. } = auditing;
        if !report.orphaned.is_empty() {
            let mut all = Changes::default();
            for id in std::mem::take(&mut report.orphaned) {
                self.recall(books, id, &all).await?;
                all.then(books.ledger.recheck(id)?);
            }
            self.commit(books, all, Vec::new()).await?;
        }
        if repair && !report.missing.is_empty() {
            report.repairing = true;
            let mut all = Changes::default();
            for drifted in &report.missing {
                self.recall(books, drifted.unlock, &all).await?;
                all.then(books.ledger.recheck(drifted.unlock)?);
            }
            self.commit(books, all, Vec::new()).await?;
        }
        if let Some(reply) = reply {
            // Who asked may have gone.
            let _ = reply.send(report);
            return Ok(());
        }
        let missing = report.missing.len();
        let gauge = &self.spec.shared.metrics.signer_drift_unlocks;
        let count = i64::try_from(missing).unwrap_or(i64::MAX);
        gauge.with_label_values(&[self.name().as_str()]).set(count);
        if missing > self.audits.told {
            let text = format!(
                "{missing} of {} unlocks that had landed are not on the chain any more, such as {} \
                 of {}; `meritd repair --signer {} --dry-run` lists them",
                report.checked,
                report.missing.first().map_or("", |it| it.achievement.as_str()),
                report.missing.first().map(|it| it.user.to_checksum(None)).unwrap_or_default(),
                self.name(),
            );
            tracing::error!(signer = %self.name(), "{text}");
            let mark = self.mark();
            self.notices.push(messages::signer_notice(self.name(), &text, &mark)?);
            self.commit(books, Changes::default(), Vec::new()).await?;
        }
        self.audits.told = missing;
        Ok(())
    }
}

impl Receives<Audit> for SignerActor {
    fn receive(&mut self, audit: Audit) {
        // Dropped, its sender hears that there is no answer.
        if self.audits.asked.len() < WAITING_MAX {
            self.audits.asked.push_back(audit);
        }
    }
}
