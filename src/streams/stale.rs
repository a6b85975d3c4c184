//! Ends a server that outlived the daemon which had started it.
//!
//! A daemon that is killed can't end its child, and two servers over one
//! folder would destroy it. (Asking the kernel to end the child with its
//! parent needs code between fork and exec, which Rust calls unsafe; and it
//! watches the thread that forked, not the process.) So whoever starts a
//! server first ends every other that runs on the same configuration file.
//! A process id in a file may be another's by now; a command line that
//! names our file is ours for sure.

use std::{fs, io, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

/// How long a server may take to close its files after SIGTERM.
const TERM_GRACE: Duration = Duration::from_secs(5);
/// How long the kernel may take to remove a killed process.
const KILL_GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Ends all processes whose command line has `config` as one argument, and
/// returns how many there were once they are gone.
///
/// On a system without `/proc` none is found.
///
/// # Errors
/// When one can't be ended.
pub(super) async fn end_servers_of(config: &Path) -> io::Result<usize> {
    let found = running_with(config);
    for pid in &found {
        tracing::warn!(
            pid = pid.as_raw_nonzero(),
            "ending a nats-server that an earlier daemon left behind"
        );
        end(*pid, config).await?;
    }
    Ok(found.len())
}

async fn end(pid: Pid, config: &Path) -> io::Result<()> {
    for (signal, grace) in [(Signal::TERM, TERM_GRACE), (Signal::KILL, KILL_GRACE)] {
        if let Err(error) = kill_process(pid, signal)
            && error != rustix::io::Errno::SRCH
        {
            return Err(error.into());
        }
        let deadline = Instant::now() + grace;
        while names(pid, config) {
            if Instant::now() >= deadline {
                break;
            }
            sleep(POLL).await;
        }
        if !names(pid, config) {
            return Ok(());
        }
    }
    Err(io::Error::other(format!("process {} survives SIGKILL", pid.as_raw_nonzero())))
}

fn running_with(config: &Path) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| names(*pid, config))
        .collect()
}

/// Whether the process lives and has the path as an argument of its own. A
/// zombie has no command line any more.
fn names(pid: Pid, config: &Path) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    fs::read(path).is_ok_and(|line| {
        line.split(|byte| *byte == 0)
            .skip(1)
            .any(|argument| argument == config.as_os_str().as_bytes())
    })
}
