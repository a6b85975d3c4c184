//! Makes the blocks of a [`Branch`] from those of the node.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicBool, Ordering},
};

use alloy::{
    consensus::Header,
    eips::BlockNumberOrTag,
    primitives::{B256, Bytes},
};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use super::{
    Branch, Refusal,
    call::{Call, number},
    editing::Editing,
    upstream::Upstream,
};

pub(super) struct Forger {
    branch: Branch,
    known: Mutex<Known>,
    other_next: AtomicBool,
}

#[derive(Default)]
struct Known {
    /// By the hash of the node's block.
    forged: HashMap<B256, (B256, Header)>,
    /// The node's, by the forged hash.
    real: HashMap<B256, B256>,
}

/// How a call named its block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// By a hash of the branch, which the call does not have any more.
    Forged,
    /// By the hash of a block that is not on the branch.
    Hidden,
    /// Otherwise.
    Openly,
}

impl Forger {
    pub fn new(branch: Branch) -> Self {
        let (known, other_next) = (Mutex::default(), AtomicBool::new(false));
        Self { branch, known, other_next }
    }

    pub fn branch(&self) -> &Branch {
        &self.branch
    }

    /// Puts the node's hash in the place of the branch's.
    pub async fn translate(&self, call: &mut Call, node: &Upstream) -> Result<Named, Refusal> {
        let Some(hash) = call.block_hash() else { return Ok(Named::Openly) };
        if self.real(hash).await.is_none() {
            // It may have been told by another endpoint on the same branch.
            let tip = match self.branch.flapping {
                true => BlockNumberOrTag::Number(self.branch.from),
                false => BlockNumberOrTag::Latest,
            };
            if let Some(tip) = hash_in(&node.block_at(tip).await?["hash"]) {
                self.forged(tip, node).await?;
            }
        }
        if let Some(real) = self.real(hash).await {
            call.set_block_hash(real);
            return Ok(Named::Forged);
        }
        let block = number(&node.block(hash).await?["number"]);
        let hidden = !self.branch.flapping && block.is_some_and(|block| block >= self.branch.from);
        Ok(if hidden { Named::Hidden } else { Named::Openly })
    }

    /// Puts the branch's blocks in the place of the node's.
    pub async fn rewrite(
        &self,
        call: &Call,
        named: Named,
        answer: &mut Json,
        node: &Upstream,
    ) -> Result<(), Refusal> {
        let by_number = call.method == "eth_getBlockByNumber";
        if self.branch.flapping && named != Named::Forged {
            let ours = by_number && number(&answer["number"]) == Some(self.branch.from);
            if !ours || !self.other_next.fetch_xor(true, Ordering::Relaxed) {
                return Ok(());
            }
        }
        if by_number || call.method == "eth_getBlockByHash" {
            let Some(real) = hash_in(&answer["hash"]) else { return Ok(()) };
            if let Some((hash, header)) = self.forged(real, node).await? {
                answer["hash"] = json!(hash);
                answer["parentHash"] = json!(header.parent_hash);
                answer["extraData"] = json!(header.extra_data);
                answer["logsBloom"] = json!(header.logs_bloom);
                answer["receiptsRoot"] = json!(header.receipts_root);
            }
        }
        let mut places = BTreeSet::new();
        visit_hashes(answer, &mut |hash| places.extend(hash_in(hash)));
        let mut others = HashMap::new();
        for real in places {
            if let Some((forged, _)) = self.forged(real, node).await? {
                others.insert(real, forged);
            }
        }
        visit_hashes(answer, &mut |hash| {
            if let Some(forged) = hash_in(hash).and_then(|real| others.get(&real)) {
                *hash = json!(forged);
            }
        });
        Ok(())
    }

    async fn real(&self, forged: B256) -> Option<B256> {
        self.known.lock().await.real.get(&forged).copied()
    }

    /// The branch's block in the place of this one; `None` when that one is
    /// on the branch itself, or unknown.
    async fn forged(&self, real: B256, node: &Upstream) -> Result<Option<(B256, Header)>, Refusal> {
        let mut known = self.known.lock().await;
        let mut path = Vec::new();
        let mut hash = real;
        while !known.forged.contains_key(&hash) {
            let block = node.block(hash).await?;
            let height = number(&block["number"]);
            if height.is_none_or(|height| height < self.branch.from) {
                break;
            }
            if self.branch.flapping && height != Some(self.branch.from) {
                return Ok(None);
            }
            let header: Header = serde_json::from_value(block.clone()).unwrap();
            let parent = header.parent_hash;
            path.push((hash, header, block));
            hash = parent;
        }
        while let Some((real, mut header, block)) = path.pop() {
            if let Some((parent, _)) = known.forged.get(&header.parent_hash) {
                header.parent_hash = *parent;
            }
            header.extra_data = Bytes::copy_from_slice(self.branch.mark.as_bytes());
            if !self.branch.edits.is_empty() {
                let editing = Editing::new(node).add(self.branch.from, &self.branch.edits);
                let receipts = editing.receipts(&block, node.receipts(real).await?);
                (header.logs_bloom, header.receipts_root) = super::editing::commitments(&receipts);
            }
            let hash = header.hash_slow();
            known.real.insert(hash, real);
            known.forged.insert(real, (hash, header));
        }
        Ok(known.forged.get(&real).cloned())
    }
}

fn hash_in(json: &Json) -> Option<B256> {
    serde_json::from_value(json.clone()).ok()
}

/// Every `blockHash` in an answer.
fn visit_hashes(json: &mut Json, visit: &mut impl FnMut(&mut Json)) {
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                if name == "blockHash" {
                    visit(value);
                } else {
                    visit_hashes(value, visit);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| visit_hashes(item, visit)),
        _ => {}
    }
}
