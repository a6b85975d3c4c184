//! Every secret that a configuration names, and what each must look like.

use super::{Config, ConfigError, Nats, Problem, SecretRef, SignerKeySource};

impl Config {
    /// Fetches every secret and drops it again: what is missing is told
    /// before anything starts.
    ///
    /// # Errors
    /// All that are missing, or hold no endpoint URL where one is needed.
    pub fn check_secrets(&self) -> Result<(), ConfigError> {
        let problems: Vec<Problem> =
            self.secrets().filter_map(|secret| self.refuse(secret)).collect();
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Where each secret is named, and of a URL the schemes that it may have.
    fn secrets(&self) -> impl Iterator<Item = (String, &SecretRef, &'static [&'static str])> {
        let urls = self.chains.iter().enumerate().flat_map(|(i, chain)| {
            chain.endpoints.iter().enumerate().flat_map(move |(j, endpoint)| {
                let key = |part| format!("chains[{i}].endpoints[{j}].{part}");
                let ws = endpoint.ws.as_ref().map(|ws| (key("ws"), ws, WS));
                std::iter::once((key("url"), &endpoint.url, HTTP)).chain(ws)
            })
        });
        let login = match &self.nats {
            Nats::External { login: Some((_, password)), .. } => Some(password),
            Nats::External { login: None, .. } | Nats::Managed { .. } => None,
        };
        let login = login.map(|password| ("nats.password".to_owned(), password, NO_URL));
        let keys = self.signers.iter().enumerate().filter_map(|(i, signer)| match &signer.key {
            SignerKeySource::Keystore { passphrase, .. } => {
                Some((format!("signers[{i}].key.passphrase"), passphrase, NO_URL))
            }
            SignerKeySource::Raw(raw) => Some((format!("signers[{i}].key.raw"), raw, NO_URL)),
            // Credentials are the service's own affair.
            SignerKeySource::Kms(_) => None,
        });
        urls.chain(login).chain(keys)
    }

    fn refuse(
        &self,
        (key, secret, schemes): (String, &SecretRef, &'static [&'static str]),
    ) -> Option<Problem> {
        let said = match secret.resolve() {
            Ok(url) if !schemes.is_empty() && !is_url(url.expose(), schemes) => {
                let schemes: Vec<_> =
                    schemes.iter().map(|scheme| format!("{scheme}://…")).collect();
                format!("not an endpoint URL; let it hold {}", schemes.join(" or "))
            }
            Ok(_) => return None,
            Err(error) => error.to_string(),
        };
        // A secret's error ends with its remedy.
        let (why, remedy) = said.split_once("; ").unwrap_or((&said, "put the secret there"));
        Some(Problem {
            file: self.said_by(key.split(['.', '[']).next().unwrap_or_default()).to_owned(),
            key,
            value: Some(secret.to_string()),
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        })
    }
}

const HTTP: &[&str] = &["http", "https"];
const WS: &[&str] = &["ws", "wss"];
const NO_URL: &[&str] = &[];

pub(super) fn is_url(text: &str, schemes: &[&str]) -> bool {
    text.parse::<reqwest::Url>().is_ok_and(|url| schemes.contains(&url.scheme()))
}
