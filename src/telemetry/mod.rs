//! What an operator watches: every metric, declared in one file, and logs.
//! Knows nothing of the parts that report through it.

#[cfg(test)]
mod dashboards_tests;
mod logs;
mod metrics;

pub use logs::{LogFormat, LogsError, init, log_panics};
pub use metrics::{CATALOGUE, Families, Kind, MetricInfo, Metrics};
