//! `meritd run`: the daemon, until it is told to stop.

use std::io::IsTerminal as _;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    ConfigArgs, Failure, KeyArgs,
    bars::{Bars, EVERY},
};
use crate::{
    api::Operator as _,
    config::{Config, LogFormat},
    daemon::Daemon,
    telemetry::{self, Metrics},
};

/// What to run.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let (config, plan) = args.config.load_signing_plan(&args.keys)?;
    let bars = init_logs(&config)?;
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
            () = show(bars.as_ref(), &daemon) => {}
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

/// Shows how far contracts are with their histories, until it is dropped.
async fn show(bars: Option<&Bars>, daemon: &Daemon) {
    let Some(bars) = bars else { return std::future::pending().await };
    let mut shown = bars.shown();
    loop {
        shown.draw(&daemon.state().status());
        tokio::time::sleep(EVERY).await;
    }
}

/// On a terminal lines go above the bars that it gives.
fn init_logs(config: &Config) -> Result<Option<Bars>, Failure> {
    let format = match config.log.format {
        LogFormat::Auto => telemetry::LogFormat::Auto,
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    let filter = &config.log.filter;
    let people = std::io::stderr().is_terminal() && format != telemetry::LogFormat::Json;
    let bars = people.then(Bars::new);
    let set = match bars.clone() {
        Some(bars) => telemetry::init(format, filter, bars),
        None => telemetry::init(format, filter, std::io::stderr),
    };
    set.map_err(|e| Failure::Usage(e.to_string()))?;
    telemetry::log_panics();
    Ok(bars)
}
