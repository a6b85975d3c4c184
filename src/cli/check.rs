//! `meritd check`: everything that can be known before the daemon runs.

mod claims;
mod opened;
mod rule_sets;

use std::time::Duration;

use alloy::{
    primitives::{Address, U64, keccak256},
    rpc::client::RpcClient,
};
use clap::Args;
use serde_json::json;

use claims::Claim;
use opened::Opened;

use super::{ConfigArgs, Failure, KeyArgs, client::DaemonArgs, print};
use crate::{
    chain::transport::{EndpointUrl, HttpLimits, connect},
    config::{Chain, Config, ContractKind, Creation, Delivery, Endpoint, Nats, Place},
    daemon::{self, Plan, StartError},
    domain::{Name, OnRetract},
    signing::{
        calls::{self, Calls, Role},
        keys::SignerKey,
    },
    streams::{
        connection::Connection,
        find_nats_server, nats_server_version,
        setup::{Replicas, declare},
    },
    tools,
};

/// What to check.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Check the files only: no endpoint and no broker is asked
    #[arg(long)]
    offline: bool,
}

/// One line of the result.
struct Finding {
    what: String,
    problem: Option<String>,
    detail: String,
}

impl Finding {
    fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), problem: None, detail: detail.into() }
    }

    fn bad(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: Some(problem.into()), detail: String::new() }
    }
}

/// Limit of one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
const RESPONSE_BYTES_MAX: usize = 4 << 20;

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let (config, plan) = args.config.load_signing_plan(&args.keys)?;
    let mut findings = vec![Finding::good(
        "configuration",
        format!(
            "{}: {} contracts, {} rule sets, {} signers",
            config.environment,
            config.contracts.len(),
            plan.rule_sets.len(),
            config.signers.len()
        ),
    )];
    if !args.offline {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
        runtime.block_on(async {
            for chain in &config.chains {
                check_chain(&config, chain, &plan, &mut findings).await;
            }
            findings.push(check_broker(&config).await);
        });
    }
    let daemon = (!args.offline).then(|| DaemonArgs::of(args.config.clone()));
    findings.extend(rule_sets::check(&config, &plan, daemon.as_ref()));
    let failed = findings.iter().filter(|finding| finding.problem.is_some()).count();
    if args.json {
        let lines: Vec<_> = findings
            .iter()
            .map(|f| json!({ "what": f.what, "problem": f.problem, "detail": f.detail }))
            .collect();
        print(format!("{:#}", json!({ "ok": failed == 0, "findings": lines })))?;
    } else {
        for finding in &findings {
            match &finding.problem {
                None => print(format!(" ok   {}: {}", finding.what, finding.detail))?,
                Some(problem) => print(format!("FAIL  {}: {problem}", finding.what))?,
            }
        }
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::Usage(format!("{failed} of {} checks failed", findings.len())))
    }
}

async fn check_chain(config: &Config, chain: &Chain, plan: &Plan, findings: &mut Vec<Finding>) {
    let mut usable = None;
    for (i, endpoint) in chain.endpoints.iter().enumerate() {
        let what = format!("endpoint/{}/{i}", chain.name);
        match open(endpoint, RESPONSE_BYTES_MAX).await {
            Ok((client, found)) if found == chain.chain_id => {
                findings.push(Finding::good(&what, format!("chain id {found}")));
                usable.get_or_insert(Opened { name: what.into(), client });
            }
            Ok((_, found)) => findings.push(Finding::bad(
                &what,
                format!(
                    "it serves chain {found}, not {}; correct chains.chain_id or its url",
                    chain.chain_id
                ),
            )),
            Err(why) => findings.push(Finding::bad(&what, why)),
        }
    }
    let Some(endpoint) = usable else { return };
    for contract in config.contracts.iter().filter(|c| c.chain == chain.name) {
        let what = format!("contract/{}", contract.name);
        let address = match &contract.place {
            Place::At(address) => *address,
            Place::CreatedBy(Creation { contract, event, .. }) => {
                let detail = format!("wherever {contract} creates one by {event}");
                findings.push(Finding::good(&what, detail));
                continue;
            }
        };
        match endpoint.code(address).await {
            Ok(code) if code.is_empty() => findings.push(Finding::bad(
                &what,
                format!("there is no code at {address}; correct its address or chain"),
            )),
            Ok(code) => {
                let (bytes, hash) = (code.len(), keccak256(&code));
                let detail = format!("{bytes} bytes of code at {address}, hash {hash}");
                findings.push(Finding::good(&what, detail));
                findings.extend(check_claim(&endpoint, &what, address, contract.kind).await);
            }
            Err(why) => findings.push(Finding::bad(&what, why.to_string())),
        }
    }
    for signer in config.signers.iter().filter(|signer| signer.chain == chain.name) {
        let Some(key) = plan.keys.get(&signer.name) else { continue };
        if let SignerKey::Remote(remote) = &**key {
            let what = format!("signer/{}", signer.name);
            findings.push(match remote.verify().await {
                Ok(()) => Finding::good(what, format!("{remote} signs for {}", remote.address())),
                Err(error) => Finding::bad(what, error.to_string()),
            });
        }
        let keeps = |c: &&crate::config::Contract| {
            c.chain == chain.name && c.kind == ContractKind::Achievements
        };
        for contract in config.contracts.iter().filter(keeps) {
            let Some(address) = contract.address() else { continue };
            let Some(calls) = plan.calls.get(&contract.name) else { continue };
            findings.push(Finding::good(
                format!("contract/{}", contract.name),
                delivery(contract.delivery, calls),
            ));
            if !calls.is_reference() {
                continue;
            }
            for role in roles(plan, &signer.name) {
                let what = format!("signer/{}", signer.name);
                let calldata = calls::has_role(role, key.address());
                let granted = endpoint.call(address, &calldata).await;
                findings.push(match granted.map(|it| calls::decode_bool(&it)) {
                    Ok(Some(true)) => {
                        Finding::good(what, format!("has {} on {}", role.name(), contract.name))
                    }
                    Ok(Some(false)) => Finding::bad(
                        what,
                        format!(
                            "{} lacks {} on {}; have its admin grant it",
                            key.address(),
                            role.name(),
                            contract.name
                        ),
                    ),
                    Ok(None) => {
                        Finding::bad(what, format!("{} has no roles to ask for", contract.name))
                    }
                    Err(why) => Finding::bad(what, why.to_string()),
                });
            }
        }
    }
}

/// Whether a contract of tokens says that it is another kind than it is configured as.
async fn check_claim(
    endpoint: &Opened,
    what: &str,
    address: Address,
    kind: ContractKind,
) -> Option<Finding> {
    Some(match claims::ask(endpoint, address, kind).await {
        Ok(Claim::None) => return None,
        Ok(Claim::Silent) => Finding::good(what, "does not say what it is (ERC-165)"),
        Ok(Claim::Is(interface)) => Finding::good(what, format!("says that it is {interface}")),
        Ok(Claim::IsNot(expected, found)) => {
            let but = found.map(|found| format!(", but {found}")).unwrap_or_default();
            let why = format!(
                "{address} says that it is no {expected}{but}; correct its kind or address"
            );
            Finding::bad(what, why)
        }
        Err(why) => Finding::bad(what, why.to_string()),
    })
}

/// What is promised of a contract's unlocks, and by what.
fn delivery(delivery: Delivery, calls: &Calls) -> String {
    let batch = if calls.has_batch() { "in batches" } else { "one a transaction" };
    let promise = match (calls.can_ask(), delivery) {
        (true, _) => "exactly once: the contract is asked who has what",
        (false, Delivery::AtLeastOnce) => {
            "at least once: the contract can't be asked, and what is in doubt is sent again"
        }
        (false, Delivery::AtMostOnce | Delivery::ExactlyOnce) => {
            "at most once: the contract can't be asked, and what is in doubt is held for a person"
        }
    };
    format!("unlocks land {promise}; {batch}")
}

/// The rights that a signer's achievements need: to revoke only where one is
/// to be taken back.
fn roles(plan: &Plan, signer: &Name) -> Vec<Role> {
    let awarded = plan.rule_sets.iter().flat_map(|set| set.achievements());
    let revokes = awarded
        .filter(|achievement| achievement.signers.contains(signer))
        .any(|achievement| achievement.on_retract == OnRetract::Revoke);
    if revokes { vec![Role::Unlocker, Role::Revoker] } else { vec![Role::Unlocker] }
}

/// A client of an endpoint, and the chain id that it names. The error shows
/// no key that its URL may hold.
pub(super) async fn open(
    endpoint: &Endpoint,
    response_bytes_max: usize,
) -> Result<(RpcClient, u64), String> {
    let text = endpoint.url.resolve().map_err(|error| error.to_string())?;
    let url: EndpointUrl = text.expose().parse().map_err(|error| format!("{error}"))?;
    let shown = url.to_string();
    let limits = HttpLimits {
        connect_timeout: CALL_TIMEOUT,
        total_timeout: CALL_TIMEOUT,
        response_bytes_max,
    };
    let client = connect(url, limits).map_err(|error| error.to_string())?;
    let id: U64 = client.request_noparams("eth_chainId").await.map_err(|error| {
        format!("{shown} does not answer: {error}; is it running and reachable?")
    })?;
    Ok((client, id.to()))
}

async fn check_broker(config: &Config) -> Finding {
    let what = "nats";
    match &config.nats {
        Nats::Managed { binary } => {
            let found = match binary.clone().or_else(|| tools::find("nats-server")) {
                Some(path) => Ok(path),
                None => find_nats_server(&[]),
            };
            let path = match found {
                Ok(path) => path,
                Err(error) => return Finding::bad(what, error.to_string()),
            };
            match (nats_server_version(&path).await, binary) {
                (Ok(version), _) => {
                    Finding::good(what, format!("managed, {} {version}", path.display()))
                }
                (Err(source), Some(path)) => {
                    let error = StartError::Binary { path: path.clone(), source };
                    Finding::bad(what, error.to_string())
                }
                (Err(error), None) => Finding::bad(what, error.to_string()),
            }
        }
        Nats::External { urls, credentials, login, replicas } => {
            let found =
                daemon::external(urls, credentials.as_deref(), login.as_ref(), "meritd-check");
            let spec = match found {
                Ok(spec) => spec,
                Err(error) => return Finding::bad(what, error.to_string()),
            };
            let connection = match Connection::open(spec).await {
                Ok(connection) => connection,
                Err(error) => return Finding::bad(what, error.to_string()),
            };
            let Some(replicas) = Replicas::new(*replicas) else {
                return Finding::bad(what, "nats.replicas: give 1, 3 or 5");
            };
            match declare(&connection, replicas).await {
                Ok(_) => Finding::good(
                    what,
                    format!("external, {}, streams as needed", connection.server_version()),
                ),
                Err(error) => Finding::bad(what, error.to_string()),
            }
        }
    }
}
