//! What the kernel knows of a process.

use std::{fs, path::Path};

/// Ticks of `/proc/PID/stat`: 100 a second on every Linux (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// The most memory that a process had, MiB; 0 when it is gone.
pub fn peak_rss_mib(pid: u32) -> f64 {
    status_mib(pid, "VmHWM:")
}

/// The memory that a process has, MiB; 0 when it is gone.
#[allow(dead_code, reason = "not every bench that has this file asks for it")]
pub fn rss_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = value.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The processor time that a process has used, seconds; 0 when it is gone.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The program's name may hold spaces and parentheses.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// The `nats-server` of a managed broker's folder: it names its ports file
/// after itself.
pub fn broker_pid(broker: &Path) -> Option<u32> {
    fs::read_dir(broker.join("ports")).ok()?.flatten().find_map(|file| {
        let name = file.file_name().into_string().ok()?;
        name.strip_prefix("nats-server_")?.strip_suffix(".ports")?.parse().ok()
    })
}
