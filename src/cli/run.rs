//! `meritd run`: the daemon, until it is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, Failure};
use crate::{
    config::{Config, LogFormat},
    daemon::Daemon,
    telemetry::{self, Metrics},
};

pub(super) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let (config, plan) = args.load_plan()?;
    init_logs(&config)?;
    actix_rt::System::new().block_on(async move {
        let environment = config.environment.clone();
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        let starting = Daemon::start(config, plan, Metrics::new());
        let daemon = tokio::select! {
            started = starting => started.map_err(Failure::failed)?,
            // Waiting for a broker must not keep a person from stopping it.
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        tracing::info!(%environment, api = %daemon.address(), "meritd runs");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
        let undrained = daemon.drain().await;
        for left in &undrained {
            tracing::warn!("not drained in time: {left}");
        }
        tracing::info!("stopped");
        Ok(())
    })
}

fn init_logs(config: &Config) -> Result<(), Failure> {
    let format = match config.log.format {
        LogFormat::Auto => telemetry::LogFormat::Auto,
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    telemetry::init(format, &config.log.filter).map_err(|e| Failure::Usage(e.to_string()))
}
