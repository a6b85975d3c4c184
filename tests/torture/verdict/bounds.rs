//! Memory and queues.

use crate::support::Daemon;

/// What no life of the daemon may need.
const PEAK_MIB: u64 = 400;

pub(super) fn memory(peak_kib: u64) -> Option<String> {
    let peak = peak_kib / 1024;
    (peak > PEAK_MIB || peak == 0).then(|| format!("the daemon had {peak} MiB in memory"))
}

/// Nothing waits where all is done.
pub(super) async fn queues(daemon: &Daemon) -> Vec<String> {
    let waiting = [
        "meritd_guard_queued",
        "meritd_consumer_pending_messages",
        "meritd_signer_queued_unlocks",
        "meritd_signer_oldest_transaction_seconds",
    ];
    let metrics = daemon.get("/metrics").await.1;
    let lines = metrics.lines().filter(|line| waiting.iter().any(|name| line.starts_with(name)));
    let left = lines.filter(|line| !line.ends_with(" 0"));
    left.map(|line| format!("it waits: {line}")).collect()
}
