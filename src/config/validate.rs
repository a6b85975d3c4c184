//! From what was read to what may be used: every value checked, every
//! reference resolved, all problems collected.

mod benefits;
mod chains;
mod contracts;
mod facts;
mod signers;

use std::{collections::BTreeSet, path::Path, time::Duration};

use figment::Figment;

use benefits::check_benefits;
use chains::check_chains;
use contracts::{check_contracts, check_groups};
use facts::check_facts;
use signers::check_signers;

use super::{
    Config, ConfigError, List, Log, Nats, Problem, RuleFile, SecretRef, Supervisor,
    load::said_by,
    raw::{NatsMode, RawConfig, RawNats},
};
use crate::domain::Name;

/// Collects problems while values are taken over.
struct Checker<'a> {
    dir: &'a Path,
    figment: &'a Figment,
    fallback: &'a Path,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, key: &str, value: Option<&str>, why: &str, remedy: &str) {
        let file = said_by(self.figment, key, self.fallback);
        self.problems.push(Problem {
            file,
            key: key.to_owned(),
            value: value.map(str::to_owned),
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    /// Checks a name, and that it is the only one of its kind.
    fn name(&mut self, key: &str, text: &str, taken: &mut BTreeSet<Name>) -> Option<Name> {
        match Name::new(text) {
            Ok(name) if taken.insert(name.clone()) => Some(name),
            Ok(_) => {
                self.problem(key, Some(text), "two have this name", "give each its own");
                None
            }
            Err(_) => {
                self.problem(
                    key,
                    Some(text),
                    "not a name",
                    "use 1 to 64 characters of a-z, 0-9, `_` and `-`, starting with a letter",
                );
                None
            }
        }
    }

    /// Checks that a name is among the declared ones.
    fn reference(
        &mut self,
        key: &str,
        text: &str,
        what: &str,
        known: &BTreeSet<Name>,
    ) -> Option<Name> {
        let found = Name::new(text).ok().filter(|name| known.contains(name));
        if found.is_none() {
            let close = known
                .iter()
                .min_by_key(|name| strsim::damerau_levenshtein(name.as_str(), text))
                .map_or_else(
                    || format!("declare a {what} first"),
                    |name| format!("did you mean `{name}`?"),
                );
            self.problem(key, Some(text), &format!("there is no {what} of this name"), &close);
        }
        found
    }

    /// An integer within bounds.
    fn bounded<N: PartialOrd + std::fmt::Display + Copy>(
        &mut self,
        key: &str,
        given: Option<N>,
        default: N,
        low: N,
        high: N,
    ) -> N {
        let value = given.unwrap_or(default);
        if value < low || value > high {
            let shown = value.to_string();
            self.problem(key, Some(&shown), "out of range", &format!("give {low} to {high}"));
            return default;
        }
        value
    }

    /// A secret that must be a reference.
    fn secret(&mut self, key: &str, text: &str) -> Option<SecretRef> {
        let reference = SecretRef::parse(text, self.dir);
        if reference.is_none() {
            // The value is not shown: it may be the secret itself.
            self.problem(
                key,
                None,
                "a secret must not stand in a configuration file",
                "write `env:NAME` or `file:PATH`, and rotate the secret if it was real",
            );
        }
        reference
    }
}

/// Checks everything and resolves what refers to something.
pub(super) fn check(
    dir: &Path,
    figment: &Figment,
    fallback: &Path,
    raw: RawConfig,
    rules: Vec<RuleFile>,
    lists: Vec<List>,
) -> Result<Config, ConfigError> {
    let mut c = Checker { dir, figment, fallback, problems: Vec::new() };
    let environment = c.name("environment", &raw.environment, &mut BTreeSet::new());
    let listen = raw.api.listen.parse().ok();
    if listen.is_none() {
        c.problem("api.listen", Some(&raw.api.listen), "not an address", "give ip:port");
    }
    if tracing_subscriber::EnvFilter::try_new(&raw.log.filter).is_err() {
        let remedy = "give a filter like `info,meritd=debug`";
        c.problem("log.filter", Some(&raw.log.filter), "not a log filter", remedy);
    }
    let nats = check_nats(&mut c, raw.nats);
    let supervisor = Supervisor {
        max_restarts: c.bounded(
            "supervisor.max_restarts",
            Some(raw.supervisor.max_restarts),
            10,
            1,
            1000,
        ),
        restart_window: Duration::from_secs(c.bounded(
            "supervisor.restart_window_s",
            Some(raw.supervisor.restart_window_s),
            300,
            1,
            86_400,
        )),
        freeze_after: Duration::from_secs(c.bounded(
            "supervisor.freeze_after_s",
            Some(raw.supervisor.freeze_after_s),
            120,
            1,
            3600,
        )),
        drain_deadline: Duration::from_secs(c.bounded(
            "supervisor.drain_deadline_s",
            Some(raw.supervisor.drain_deadline_s),
            20,
            1,
            600,
        )),
    };
    if raw.debug.fault_injection && raw.environment == "production" {
        c.problem(
            "debug.fault_injection",
            Some("true"),
            "actors must not be crashed on request in production",
            "remove the key",
        );
    }
    let (chains, chain_names) = check_chains(&mut c, raw.chains);
    let (contracts, contract_names) = check_contracts(&mut c, raw.contracts, &chains, &chain_names);
    let governor_groups = check_groups(&mut c, raw.governor_groups, &contracts, &contract_names);
    let failpoint = raw.debug.failpoint.as_deref().and_then(|text| {
        let parsed = text.parse().ok().filter(|_| raw.debug.fault_injection);
        if parsed.is_none() {
            let remedy = "name a place and a hit, like after_sign:1, with fault_injection = true";
            c.problem("debug.failpoint", Some(text), "not a failpoint that may be used", remedy);
        }
        parsed
    });
    let facts = check_facts(&mut c, raw.facts, &contracts);
    let signers = check_signers(&mut c, raw.signers, &chain_names);
    let benefits = check_benefits(&mut c, raw.benefits, &contracts, &contract_names);
    match (environment, listen, nats) {
        (Some(environment), Some(listen), Some(nats)) if c.problems.is_empty() => Ok(Config {
            environment,
            dir: dir.to_owned(),
            data_dir: dir.join(raw.data_dir),
            listen,
            log: Log { format: raw.log.format, filter: raw.log.filter },
            nats,
            supervisor,
            chains,
            contracts,
            facts,
            governor_groups,
            signers,
            benefits,
            rules,
            lists,
            fault_injection: raw.debug.fault_injection,
            failpoint,
            said_by: ["chains", "nats", "contracts", "facts", "signers"]
                .map(|section| (section, said_by(figment, section, fallback)))
                .into(),
        }),
        _ => Err(ConfigError { problems: c.problems }),
    }
}

fn check_nats(c: &mut Checker<'_>, raw: RawNats) -> Option<Nats> {
    let dir = c.dir.to_owned();
    if raw.mode == NatsMode::Managed {
        for (key, given) in [
            ("nats.urls", !raw.urls.is_empty()),
            ("nats.credentials", raw.credentials.is_some()),
            ("nats.user", raw.user.is_some()),
            ("nats.password", raw.password.is_some()),
            ("nats.replicas", raw.replicas.is_some()),
        ] {
            if given {
                let why = "a managed server has no such setting";
                c.problem(key, None, why, "remove it, or set nats.mode = \"external\"");
            }
        }
        return Some(Nats::Managed { binary: raw.binary.map(|path| dir.join(path)) });
    }
    if raw.urls.is_empty() {
        c.problem("nats.urls", None, "this key is missing", "list the servers as nats://host:port");
    }
    for (i, url) in raw.urls.iter().enumerate() {
        let known = ["nats://", "tls://"];
        if !known.iter().any(|scheme| url.starts_with(scheme)) || url.contains('@') {
            c.problem(
                &format!("nats.urls[{i}]"),
                None,
                "not a plain server URL",
                "give nats://host:port; a login goes into nats.user and nats.password",
            );
        }
    }
    let login = match (raw.user, raw.password) {
        (Some(user), Some(password)) => Some((user, c.secret("nats.password", &password)?)),
        (None, None) => None,
        _ => {
            c.problem("nats.user", None, "a login needs user and password", "give both or none");
            None
        }
    };
    Some(Nats::External {
        urls: raw.urls,
        credentials: raw.credentials.map(|path| dir.join(path)),
        login,
        replicas: check_replicas(c, raw.replicas),
    })
}

/// An even number of copies adds a server that can fail, not one that may.
fn check_replicas(c: &mut Checker<'_>, given: Option<usize>) -> usize {
    let replicas = given.unwrap_or(1);
    if !matches!(replicas, 1 | 3 | 5) {
        let shown = replicas.to_string();
        c.problem("nats.replicas", Some(&shown), "not a number of copies", "give 1, 3 or 5");
    }
    replicas
}
