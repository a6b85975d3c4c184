//! Where the streams lie, and how fast that is at the moment: on a machine
//! that others use too, a rate means little without it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

use super::Outcome;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";
/// About a batch.
const PROBE_BYTES: usize = 1 << 20;
const PROBES: usize = 30;

/// Where temporary files belong: a disk, or memory, where `fsync` is free.
pub fn root(in_memory: bool) -> Option<PathBuf> {
    if !in_memory {
        return Some(std::env::temp_dir());
    }
    Some(PathBuf::from(MEMORY)).filter(|memory| memory.is_dir())
}

/// The median time to append 1 MiB and have it durable, milliseconds.
pub fn probe(root: &Path) -> Outcome<f64> {
    let folder = tempfile::Builder::new().prefix("meritd-ingest-").tempdir_in(root)?;
    let mut file = fs::File::create(folder.path().join("probe"))?;
    let bytes = vec![0x5a; PROBE_BYTES];
    let mut took = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let started = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(took.get(PROBES / 2).copied().unwrap_or_default())
}
