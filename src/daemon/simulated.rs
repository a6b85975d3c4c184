//! The daemon without HTTP and without processes, on the thread of whoever starts it.

use std::sync::Arc;

use super::{DaemonState, Plan, StartError, broker, build, series, tree_metrics};
use crate::{
    config::Config,
    store::Database,
    streams::connection::Connection,
    supervisor::{ChildSnapshot, Tree, TreeLimits},
    telemetry::Metrics,
};

/// A daemon whose every actor runs on this thread. It ends with the actix system that it
/// was started in.
pub struct SimulatedDaemon {
    state: Arc<DaemonState>,
    tree: Tree,
    // Kept alive.
    _broker: broker::Broker,
}

impl SimulatedDaemon {
    /// Builds and starts everything, in the order of the real one.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        config: &Config,
        plan: Plan,
        database: Arc<Database>,
        connection: Connection,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        let observer = Arc::new(tree_metrics::TreeMetrics::new(metrics.clone()));
        let tree = Tree::here(TreeLimits::default(), observer);
        let state = Arc::new(DaemonState::new(config, tree.clone(), metrics.clone()));
        series::start(config, &plan, &metrics);
        let broker = broker::Broker::simulated(connection, &state).await?;
        build::spawn_all(config, plan, &tree, database, &broker, &state, metrics)?;
        state.started();
        Ok(Self { state, tree, _broker: broker })
    }

    /// What it shows of itself.
    #[must_use]
    pub fn state(&self) -> &Arc<DaemonState> {
        &self.state
    }

    /// Its actors.
    #[must_use]
    pub fn actors(&self) -> Vec<ChildSnapshot> {
        self.tree.snapshot()
    }
}
