//! `meritd verify-evidence`: checks an evidence file, without the daemon that wrote it.

use std::{collections::BTreeSet, fs, path::PathBuf, time::Duration};

use alloy::{primitives::U64, rpc::client::RpcClient};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Failure, print};
use crate::{
    chain::transport::{EndpointUrl, HttpLimits, connect},
    evidence::{EvidenceFile, Finding},
    shortened::shortened,
};

/// Largest evidence file, bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Largest answer of a node, bytes.
const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// Limit of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What to check.
#[derive(Debug, Args)]
pub(super) struct VerifyEvidenceArgs {
    /// What `meritd explain --with-inclusion-proofs` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A node of your own that is asked whether the blocks are the chain's; may be
    /// given once for each chain
    #[arg(long, value_name = "URL")]
    rpc: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A block as a node tells it.
#[derive(Debug, Deserialize)]
struct Block {
    hash: alloy::primitives::B256,
}

pub(super) fn run(args: &VerifyEvidenceArgs) -> Result<(), Failure> {
    let shown = args.file.display();
    let unreadable = |why: String| Failure::Usage(format!("{shown}: {why}"));
    let size = fs::metadata(&args.file).map_err(|error| unreadable(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("it has {size} bytes, more than {FILE_BYTES_MAX}")));
    }
    let text = fs::read_to_string(&args.file).map_err(|error| unreadable(error.to_string()))?;
    let file: EvidenceFile = serde_json::from_str(&text)
        .map_err(|error| unreadable(format!("this is no evidence file: {}", shortened(&error))))?;
    let mut findings = file.findings();
    let blocks: BTreeSet<_> = findings.iter().filter_map(|finding| finding.block).collect();
    if !args.rpc.is_empty() {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
        findings.extend(runtime.block_on(canonical(&args.rpc, &blocks))?);
    }
    let flaws = findings.iter().filter(|finding| finding.flaw.is_some()).count();
    let named: Vec<Json> = blocks
        .iter()
        .map(|(chain_id, number, hash)| json!({ "chain_id": chain_id, "number": number, "hash": hash }))
        .collect();
    if args.json {
        let report = json!({
            "verified": flaws == 0,
            "achievement": file.achievement,
            "user": file.user.to_checksum(None),
            "rule_version": file.evidence.rule_version,
            "findings": findings,
            "blocks": named,
            "blocks_asked": !args.rpc.is_empty(),
        });
        print(format!("{report:#}"))?;
    } else {
        print(render(&file, &findings, &blocks, args.rpc.is_empty()))?;
    }
    match flaws {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 claim does not hold".to_owned())),
        n => Err(Failure::Failed(format!("{n} claims do not hold"))),
    }
}

fn render(
    file: &EvidenceFile,
    findings: &[Finding],
    blocks: &BTreeSet<(u64, u64, alloy::primitives::B256)>,
    untold: bool,
) -> String {
    let mut lines = vec![format!(
        "{} (id {}) of {}: {} logs, of which {} are named; rule version {}",
        file.achievement,
        file.achievement_id,
        file.user.to_checksum(None),
        file.evidence.total,
        file.evidence.items.len(),
        file.evidence.rule_version
    )];
    for Finding { claim, flaw, .. } in findings {
        match flaw {
            None => lines.push(format!("  yes  {claim}")),
            Some(flaw) => lines.push(format!("   NO  {claim}: {flaw}")),
        }
    }
    if untold {
        lines.push(
            "this stands on these blocks: ask a node of your own for them (--rpc URL)".to_owned(),
        );
        let block = |(chain, number, hash): &(u64, u64, _)| {
            format!("  chain {chain} block {number} {hash}")
        };
        lines.extend(blocks.iter().map(block));
    }
    lines.join("\n")
}

/// Whether nodes have these blocks on their chains.
async fn canonical(
    urls: &[String],
    blocks: &BTreeSet<(u64, u64, alloy::primitives::B256)>,
) -> Result<Vec<Finding>, Failure> {
    let mut nodes = Vec::new();
    for url in urls {
        let url: EndpointUrl =
            url.parse().map_err(|error| Failure::Usage(format!("--rpc: {error}")))?;
        let shown = url.to_string();
        let limits = HttpLimits {
            connect_timeout: CALL_TIMEOUT,
            total_timeout: CALL_TIMEOUT,
            response_bytes_max: RESPONSE_BYTES_MAX,
        };
        let client = connect(url, limits).map_err(Failure::failed)?;
        let chain: U64 = client
            .request_noparams("eth_chainId")
            .await
            .map_err(|_| Failure::Failed(format!("{shown} does not say which chain it serves")))?;
        nodes.push((chain.to::<u64>(), client));
    }
    let mut findings = Vec::new();
    for (chain, number, hash) in blocks {
        let node = nodes.iter().find(|(id, _)| id == chain).map(|(_, client)| client);
        let flaw = match node {
            None => Some("no --rpc serves this chain".to_owned()),
            Some(client) => differs(client, *number, *hash).await,
        };
        let claim = format!("block {number} of chain {chain} is {hash}");
        findings.push(Finding { claim, flaw, block: None });
    }
    Ok(findings)
}

async fn differs(client: &RpcClient, number: u64, hash: alloy::primitives::B256) -> Option<String> {
    let params = (U64::from(number), false);
    match client.request::<_, Option<Block>>("eth_getBlockByNumber", params).await {
        Ok(Some(block)) if block.hash == hash => None,
        Ok(Some(block)) => Some(format!("the node has {} there", block.hash)),
        Ok(None) => Some("the node has no such block".to_owned()),
        Err(_) => Some("the node did not answer".to_owned()),
    }
}
