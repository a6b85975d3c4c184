//! Asking a running daemon over HTTP.

use std::time::Duration;

use clap::Args;
use serde::{Serialize, de::DeserializeOwned};

use super::{ConfigArgs, Failure};
use crate::{config::Config, daemon::ADDRESS_FILE};

/// Where the daemon is.
#[derive(Clone, Debug, Args)]
pub(super) struct DaemonArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The daemon's address, like http://127.0.0.1:8080; else `api.listen`
    #[arg(long, value_name = "URL")]
    api: Option<String>,
}

/// Limit of one request.
const TIMEOUT: Duration = Duration::from_secs(15);

impl DaemonArgs {
    /// The one of a configuration.
    pub(super) fn of(config: ConfigArgs) -> Self {
        Self { config, api: None }
    }

    /// The base URL.
    fn base(&self) -> Result<String, Failure> {
        match &self.api {
            Some(url) => Ok(url.trim_end_matches('/').to_owned()),
            None => {
                let config = self.config.load()?;
                match config.listen.port() {
                    0 => told_by_daemon(&config),
                    _ => Ok(format!("http://{}", config.listen)),
                }
            }
        }
    }

    /// Reads JSON from a path of the API.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        Ok(self.look(path, query)?)
    }

    /// The same, where it matters how it failed.
    pub(super) fn look<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Unanswered> {
        let base = self.base()?;
        let url = reqwest::Url::parse_with_params(&format!("{base}{path}"), query)
            .map_err(|error| Failure::Usage(format!("--api {base}: {error}")))?;
        ask(&base, |client| client.get(url))
    }

    /// Sends JSON to a path of the API, given as its segments.
    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Unanswered> {
        self.post_within(TIMEOUT, path, body)
    }

    /// The same, for what takes longer.
    pub(super) fn post_within<T: DeserializeOwned>(
        &self,
        limit: Duration,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Unanswered> {
        let (base, url) = self.at(path)?;
        ask(&base, |client| client.post(url).json(body).timeout(limit))
    }

    /// Deletes what a path of the API, given as its segments, stands for.
    pub(super) fn delete<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Unanswered> {
        let (base, url) = self.at(path)?;
        ask(&base, |client| client.delete(url))
    }

    /// The base URL, and that of a path below it.
    fn at(&self, path: &[&str]) -> Result<(String, reqwest::Url), Failure> {
        let base = self.base()?;
        let wrong = |why: String| Failure::Usage(format!("--api {base}: {why}"));
        let mut url = reqwest::Url::parse(&base).map_err(|error| wrong(error.to_string()))?;
        url.path_segments_mut()
            .map_err(|()| wrong("not the address of an API".to_owned()))?
            .pop_if_empty()
            .extend(path);
        Ok((base, url))
    }
}

/// Makes one request and reads the answer.
fn ask<T: DeserializeOwned>(
    base: &str,
    request: impl FnOnce(reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<T, Unanswered> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(async {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .map_err(Failure::failed)?;
        let answer = request(client).send().await.map_err(|error| {
            let why = if error.is_connect() { "nothing answers there" } else { "no answer" };
            Unanswered::Silent(format!(
                "{base}: {why}; is the daemon running? (`meritd run`, or name it with --api)"
            ))
        })?;
        let status = answer.status();
        let body = answer.text().await.map_err(Failure::failed)?;
        if !status.is_success() {
            let detail = serde_json::from_str::<serde_json::Value>(&body)
                .ok()
                .and_then(|json| json.get("detail")?.as_str().map(str::to_owned));
            let why = detail.unwrap_or_else(|| format!("{base}: {status}"));
            return Err(Unanswered::Refused { status: status.as_u16(), why });
        }
        serde_json::from_str(&body).map_err(|error| {
            let why = format!("{base}: not an answer of meritd: {error}");
            Unanswered::Failure(Failure::Failed(why))
        })
    })
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The daemon refused it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        why: String,
    },
    /// No answer came.
    Silent(String),
    /// It could not even be asked, or was not the daemon.
    Failure(Failure),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refused { why, .. } | Unanswered::Silent(why) => Self::Failed(why),
            Unanswered::Failure(failure) => failure,
        }
    }
}

/// Where a daemon that may take any port left the address it got.
fn told_by_daemon(config: &Config) -> Result<String, Failure> {
    let file = config.data_dir.join(ADDRESS_FILE);
    match std::fs::read_to_string(&file) {
        Ok(address) => Ok(format!("http://{}", address.trim())),
        Err(error) => Err(Failure::Failed(format!(
            "api.listen = {} lets the daemon take any port, and {} does not tell which: {error}; \
             is the daemon running? (`meritd run`, or name it with --api)",
            config.listen,
            file.display(),
        ))),
    }
}
