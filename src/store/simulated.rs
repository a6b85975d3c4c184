//! A disk that exists in memory, for simulations.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

use super::{Database, OpenError};

/// The store's file; clones are the same one. It outlives whoever has it open.
#[derive(Clone, Default)]
pub struct Disk {
    platter: Arc<Mutex<Platter>>,
}

#[derive(Default)]
struct Platter {
    bytes: Vec<u8>,
    /// What was at each place before it was written since the last sync, oldest first;
    /// and how long the file was.
    unsynced: Vec<(usize, Vec<u8>, usize)>,
    /// Who opened it last: nobody else writes.
    holder: u64,
    is_full: bool,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store that is on it, or makes one. Whoever had it open before writes
    /// nothing any more, as if killed.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&self) -> Result<Arc<Database>, OpenError> {
        self.detach();
        let disk = self.clone();
        Database::open_with("meritd.redb", move |_| {
            let holder = disk.platter().holder;
            let file = Held { disk: disk.clone(), holder };
            redb::Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(file)
        })
    }

    /// Whoever has it open is killed: nothing that it does from now on is written.
    pub fn detach(&self) {
        self.platter().holder += 1;
    }

    /// All that is on it, as a copy of the file.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.platter().bytes.clone()
    }

    /// The file is that copy again, or gone if it is empty. Only while nobody has it
    /// open.
    pub fn restore(&self, image: Vec<u8>) {
        let mut platter = self.platter();
        platter.bytes = image;
        platter.unsynced.clear();
    }

    /// The power fails: what was not synced is as it was before.
    pub fn power_fails(&self) {
        let mut platter = self.platter();
        for (at, before, length) in std::mem::take(&mut platter.unsynced).into_iter().rev() {
            if let Some(place) = platter.bytes.get_mut(at..at + before.len()) {
                place.copy_from_slice(&before);
            }
            platter.bytes.resize(length, 0);
        }
    }

    /// Whether it takes nothing more.
    pub fn fill(&self, is_full: bool) {
        self.platter().is_full = is_full;
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// redb's own cache: the disk is memory already.
const CACHE_BYTES: usize = 4 << 20;

/// The file as one process has it open.
struct Held {
    disk: Disk,
    holder: u64,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    /// The platter, for who may write; `None` for one that was killed.
    fn mine(&self) -> io::Result<Option<MutexGuard<'_, Platter>>> {
        let platter = self.disk.platter();
        if platter.holder != self.holder {
            return Ok(None);
        }
        if platter.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(Some(platter))
    }
}

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.platter().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let platter = self.disk.platter();
        let place = platter.bytes.get(start..start + out.len());
        out.copy_from_slice(place.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        if let Some(mut platter) = self.mine()? {
            let before = platter.bytes.len();
            let cut = platter.bytes.get(length..).unwrap_or_default().to_vec();
            platter.bytes.resize(length, 0);
            platter.unsynced.push((length.min(before), Vec::new(), before));
            if !cut.is_empty() {
                // Undone after the file has its length again.
                let place = platter.unsynced.len() - 1;
                platter.unsynced.insert(place, (length, cut, before));
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Some(mut platter) = self.mine()? {
            platter.unsynced.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        if let Some(mut platter) = self.mine()? {
            let length = platter.bytes.len();
            let place = platter.bytes.get_mut(start..start + data.len());
            let place = place.ok_or(io::ErrorKind::UnexpectedEof)?;
            let before = place.to_vec();
            place.copy_from_slice(data);
            platter.unsynced.push((start, before, length));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{Table, Write};

    fn put(session: &crate::store::Session, key: &[u8]) {
        let write = Write::put(Table::Meta, key.to_vec(), b"value".to_vec());
        session.commit([write].iter()).unwrap();
    }

    #[test]
    fn what_was_committed_survives_a_kill_and_a_power_failure() {
        let disk = Disk::new();
        let database = disk.open().unwrap();
        let session = database.session();
        put(&session, b"one");
        disk.power_fails();
        let again = disk.open().unwrap();
        assert!(again.session().get(Table::Meta, b"one").unwrap().is_some());
        // The killed one still believes that it writes.
        put(&session, b"two");
        drop((session, database));
        assert!(again.session().get(Table::Meta, b"two").unwrap().is_none());
    }

    #[test]
    fn a_copy_takes_the_store_back_and_a_full_disk_refuses() {
        let disk = Disk::new();
        let database = disk.open().unwrap();
        put(&database.session(), b"one");
        let image = disk.image();
        put(&database.session(), b"two");
        drop(database);
        disk.restore(image);
        let database = disk.open().unwrap();
        let session = database.session();
        assert!(session.get(Table::Meta, b"one").unwrap().is_some());
        assert!(session.get(Table::Meta, b"two").unwrap().is_none());
        disk.fill(true);
        let write = Write::put(Table::Meta, b"three".to_vec(), b"value".to_vec());
        assert!(session.commit([write.clone()].iter()).is_err());
        disk.fill(false);
        session.commit([write].iter()).unwrap();
        disk.restore(Vec::new());
        assert!(disk.open().unwrap().session().get(Table::Meta, b"one").unwrap().is_none());
    }
}
