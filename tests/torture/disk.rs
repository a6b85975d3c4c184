//! A disk so small that it can be filled.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// The broker uses three quarters of a disk at most, and its streams reserve 384 MiB.
const SIZE_MB: usize = 640;

/// A file system in memory, mounted where the daemon's data go.
#[derive(Debug)]
pub(super) struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts it; where that is not permitted it says so, and there is none.
    pub(super) fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={SIZE_MB}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        let why = match mounted {
            Ok(output) if output.status.success() => return Some(Self { at: at.to_owned() }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        eprintln!("no full disk in this seed: a small file system can't be mounted: {why}");
        None
    }

    /// Leaves no room.
    pub(super) fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).unwrap();
        for piece in [1 << 20, 4 << 10, 1] {
            let zeros = vec![0_u8; piece];
            while filler.write_all(&zeros).is_ok() {}
        }
    }

    /// Makes room again.
    pub(super) fn make_room(&self) {
        // It is not there when it was not filled.
        let _ = fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: who still has a file open there is ended right after.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).output();
    }
}
