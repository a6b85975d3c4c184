//! How much memory the managed server may take: what Go's garbage collector is told,
//! unless the environment says otherwise.
//!
//! nats-server keeps the blocks of 8 MiB that it has written in the last ten seconds for as
//! long as somebody reads what is written, and Go lets the heap grow to twice what is in
//! use. Both follow the pace of writing: a backlog of 50,000 events a second has 600 MiB in
//! use. So what is told is a proportion, and a limit only far above: one that is less than
//! what is in use makes it collect all the time (at 256 MiB a backlog took 62 µs of
//! processor time an event in the server, where it takes 16).

use std::{
    env, fs,
    path::{Path, PathBuf},
};

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

/// Bytes of memory of this machine, or of the container or service, where that has less.
fn available() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limits_of(&own).into_iter();
    let granted = limits.filter_map(|path| granted(&fs::read_to_string(path).ok()?));
    granted.chain(machine()).min()
}

/// The files that hold the limits of a process, by its `/proc/self/cgroup`: its group's and
/// those of all that are above it, each of which may grant less.
fn limits_of(own: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let group = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let groups = Path::new(group).ancestors().map(|group| root.join(group).join("memory.max"));
    // A container's of cgroups 1.
    groups.chain([root.join("memory/memory.limit_in_bytes")]).collect()
}

/// What a group is granted, bytes; nothing where that is `max`.
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

    #[test]
    fn a_service_may_be_granted_less_than_its_machine_has() {
        let files = |own: &str| {
            let limits = limits_of(own).into_iter();
            limits.map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let of_cgroups_1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        let service = [
            "/sys/fs/cgroup/system.slice/meritd.service/memory.max",
            "/sys/fs/cgroup/system.slice/memory.max",
            "/sys/fs/cgroup/memory.max",
            of_cgroups_1,
        ];
        assert_eq!(files("0::/system.slice/meritd.service\n"), service);
        // In a container's own namespace, and where nothing is known.
        for own in ["0::/\n", "", "4:memory:/docker/7f\n"] {
            assert_eq!(files(own), ["/sys/fs/cgroup/memory.max", of_cgroups_1], "{own}");
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
