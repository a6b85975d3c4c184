//! Finding and ending processes by a path in their command line: the broker
//! is a child of the daemon, and outlives one that is killed.

use std::{fs, os::unix::ffi::OsStrExt as _, path::Path};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Living processes of which an argument begins with `path`.
pub fn naming(path: &Path) -> Vec<Pid> {
    let names = |pid: Pid| {
        fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .skip(1)
                .any(|argument| argument.starts_with(path.as_os_str().as_bytes()))
        })
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|pid| names(*pid))
        .collect()
}

/// Whether a process is there.
pub fn living(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// SIGKILL to each of [`naming`], until there is none.
pub(super) fn end_all_naming(path: &Path) {
    for _ in 0..200 {
        let left = naming(path);
        if left.is_empty() {
            return;
        }
        for pid in left {
            // It may have ended since it was found.
            let _ = kill_process(pid, Signal::KILL);
        }
        // Within `drop` nothing can be awaited; the condition is looked at again.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
