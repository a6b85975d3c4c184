//! Makes series exist before anything is counted: Prometheus' `increase` does
//! not see the first value of a series that was just born, and the first
//! reorg or the first dead letter is the one that matters.

use super::Plan;
use crate::{
    config::{Config, ContractKind, Nats},
    domain::{TransactionState, UnlockState},
    streams::subjects::{StreamId, Writer, WriterKind},
    telemetry::Metrics,
};

/// Every counter whose labels the configuration knows, at zero.
pub(super) fn start(config: &Config, plan: &Plan, metrics: &Metrics) {
    let dead_letters = |kind, name: &crate::domain::Name| {
        let writer = Writer::new(kind, name.clone()).to_string();
        drop(metrics.dead_letters_total.with_label_values(&[&writer]));
    };
    for stream in StreamId::ALL {
        drop(metrics.stream_published_total.with_label_values(&[stream.name()]));
        metrics.stream_mute.with_label_values(&[stream.name()]).set(0);
    }
    if let Nats::Managed { .. } = config.nats {
        for reason in ["ended", "mute"] {
            drop(metrics.broker_restarts_total.with_label_values(&[reason]));
        }
    }
    for chain in &config.chains {
        drop(metrics.chain_reorgs_total.with_label_values(&[chain.name.as_str()]));
        drop(metrics.chain_looks_total.with_label_values(&[chain.name.as_str()]));
        for i in 0..chain.endpoints.len() {
            let endpoint = format!("endpoint/{}/{i}", chain.name);
            drop(metrics.chain_outvoted_total.with_label_values(&[chain.name.as_str(), &endpoint]));
        }
    }
    for contract in &config.contracts {
        let labels = [contract.chain.as_str(), contract.name.as_str()];
        drop(metrics.events_published_total.with_label_values(&labels));
        drop(metrics.retractions_total.with_label_values(&labels));
        drop(metrics.contract_rewinds_total.with_label_values(&labels));
        dead_letters(WriterKind::Contract, &contract.name);
        if contract.kind == ContractKind::Governor {
            drop(metrics.votes_total.with_label_values(&[contract.name.as_str()]));
            drop(metrics.benefits_changed_total.with_label_values(&[contract.name.as_str()]));
            dead_letters(WriterKind::Governor, &contract.name);
        }
    }
    for set in &plan.rule_sets {
        for state in UnlockState::ALL {
            let labels = [set.id().as_str(), state.as_str()];
            drop(metrics.unlocks_total.with_label_values(&labels));
        }
        dead_letters(WriterKind::RuleSet, set.id());
    }
    for signer in &config.signers {
        for state in TransactionState::ALL {
            let labels = [signer.name.as_str(), state.as_str()];
            drop(metrics.transactions_total.with_label_values(&labels));
        }
        dead_letters(WriterKind::Signer, &signer.name);
    }
}
