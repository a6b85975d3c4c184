//! How much memory the managed server may take: what Go's garbage collector is told,
//! unless the environment says otherwise.
//!
//! nats-server keeps the blocks of 8 MiB that it has written in the last ten seconds for as
//! long as somebody reads what is written, and Go lets the heap grow to twice what is in
//! use. Both follow the pace of writing: a backlog of 50,000 events a second has 600 MiB in
//! use. So what is told is a proportion, and a limit only far above: one that is less than
//! what is in use makes it collect all the time (at 256 MiB a backlog took 62 µs of
//! processor time an event in the server, where it takes 16).

use std::{env, fs};

/// The heap may grow by so many percent of what is in use before it is collected.
const GROWTH: (&str, &str) = ("GOGC", "50");
/// What it tries to stay below.
const LIMIT: &str = "GOMEMLIMIT";
/// Of the memory that there is, for the server.
const PART: u64 = 2;
/// The least that it is told to stay below, bytes: with less it would do nothing but collect.
const LIMIT_MIN: u64 = 256 << 20;

/// The variables that it is started with beside those of the daemon.
pub(super) fn variables() -> Vec<(&'static str, String)> {
    beside(|name| env::var_os(name).is_some(), available())
}

fn beside(is_set: impl Fn(&str) -> bool, available: Option<u64>) -> Vec<(&'static str, String)> {
    let limit = available.map(|bytes| (LIMIT, limit(bytes)));
    let growth = (GROWTH.0, GROWTH.1.to_owned());
    [growth].into_iter().chain(limit).filter(|(name, _)| !is_set(name)).collect()
}

/// The limit, of so many bytes that there are.
fn limit(available: u64) -> String {
    format!("{}MiB", (available / PART).max(LIMIT_MIN) >> 20)
}

/// Bytes of memory of this machine, or of the container, where that has less.
fn available() -> Option<u64> {
    // Of cgroups 2 and 1.
    let granted = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| granted(&fs::read_to_string(path).ok()?));
    granted.chain(machine()).min()
}

/// What a container is granted, bytes; nothing where that is `max`.
fn granted(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(target_os = "linux")]
fn machine() -> Option<u64> {
    let told = rustix::system::sysinfo();
    // Of 64 bits on some machines and of 32 on others.
    #[allow(clippy::useless_conversion)]
    let total = u64::from(told.totalram);
    Some(total.saturating_mul(u64::from(told.mem_unit)))
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn it_stays_below_a_half_of_what_there_is() {
        for (bytes, told) in
            [(16 * GIB, "8192MiB"), (GIB, "512MiB"), (GIB / 4, "256MiB"), (0, "256MiB")]
        {
            let expected = [("GOGC", "50".to_owned()), ("GOMEMLIMIT", told.to_owned())];
            assert_eq!(beside(|_| false, Some(bytes)), expected);
        }
        assert_eq!(beside(|_| false, None), [("GOGC", "50".to_owned())], "nobody knows");
    }

    #[test]
    fn what_the_environment_says_stands() {
        let left = |name: &'static str| beside(move |set| set == name, Some(GIB));
        assert_eq!(left("GOGC"), [("GOMEMLIMIT", "512MiB".to_owned())]);
        assert_eq!(left("GOMEMLIMIT"), [("GOGC", "50".to_owned())]);
    }

    #[test]
    fn a_container_is_granted_a_number_of_bytes_or_all() {
        assert_eq!(granted("536870912\n"), Some(GIB / 2));
        for all in ["max\n", "", "-1", "99999999999999999999999"] {
            assert_eq!(granted(all), None, "{all}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_how_much_it_has() {
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
        let total = meminfo.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
        assert_eq!(machine(), Some(total));
    }
}
