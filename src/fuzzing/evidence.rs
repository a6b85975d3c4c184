//! Evidence files.

use std::{collections::BTreeSet, sync::LazyLock};

use crate::{
    chain::proof::Inclusion,
    evidence::{EvidenceFile, Finding, Proof},
};

/// What the daemon wrote once for an achievement that a member of a test chain got.
static GENUINE: LazyLock<EvidenceFile> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../fuzz/corpus/evidence/contributor.json")).unwrap()
});

/// The text of a file for `meritd verify-evidence`.
///
/// It is checked alike each time, and whatever it is made of: if all holds on the block of a
/// genuine landing, then it says whose achievement that was, and which.
pub fn evidence(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(file) = serde_json::from_str::<EvidenceFile>(text) else { return };
    let findings = file.findings();
    assert_eq!(findings, file.findings());
    assert!(findings.len() >= 5, "too little was looked at");
    for Finding { claim, flaw, .. } in &findings {
        assert!(!claim.is_empty() && flaw.as_ref().is_none_or(|flaw| !flaw.is_empty()));
    }
    let written = serde_json::to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<EvidenceFile>(&written).unwrap(), file);
    if findings.iter().all(|finding| finding.flaw.is_none()) {
        convinces(&file);
    }
}

fn convinces(file: &EvidenceFile) {
    let (Some(landing), Some(genuine)) = (&file.landing, &GENUINE.landing) else {
        panic!("it convinces, and nothing landed");
    };
    assert_eq!(file.proofs.len(), file.evidence.items.len());
    if landing.block_hash != genuine.block_hash {
        return;
    }
    assert_eq!(landing.block, genuine.block);
    assert_eq!(landing.transaction_hash, genuine.transaction_hash);
    let what = |file: &EvidenceFile| (file.contract, file.user, file.achievement_id);
    assert_eq!(what(file), what(&GENUINE), "another achievement of another user");
    assert_eq!(file.commitment, GENUINE.commitment);
    assert_eq!(file.evidence.commitment(), GENUINE.commitment);
    assert_eq!(blocks(file), blocks(&GENUINE), "logs of other blocks");
}

/// The headers that logs are held against.
fn blocks(file: &EvidenceFile) -> BTreeSet<Vec<u8>> {
    let included = file.proofs.iter().filter_map(|log| match &log.proof {
        Proof::Included(Inclusion { header, .. }) => Some(header.to_vec()),
        Proof::Unproven(_) => None,
    });
    included.collect()
}
