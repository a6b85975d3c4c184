//! Opening the file, and opening it again.
//!
//! redb refuses all work after an I/O error (a full disk, say) until the file
//! was closed and opened, and a panic inside a transaction leaves it in need of
//! repair. So the file is opened anew after both, here, below the actor:
//! a restarted actor finds the same shared [`Database`], not a locked file.

use std::{
    fs::{self, File},
    io::{self, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use redb::{DatabaseError, ReadableDatabase, StorageError, TableHandle};

use super::{OpenError, Session, StoreError, Table};

/// The schema that this program writes.
pub const SCHEMA_VERSION: u32 = 1;

const SCHEMA_VERSION_KEY: &[u8] = b"schema_version";

/// redb's default cache of 1 GiB would be most of a small container. What is committed
/// is seldom read again, and what a commit must read the system has; a backlog takes as
/// long with a quarter of it.
const CACHE_BYTES: usize = 32 << 20;

type Opener = dyn Fn(&Path) -> Result<redb::Database, DatabaseError> + Send + Sync;

/// The store's file, held by this process until it is dropped. Read and
/// written through a [`Session`].
pub struct Database {
    file: PathBuf,
    opener: Box<Opener>,
    held: Mutex<Held>,
}

struct Held {
    /// None after a failure, until the next use.
    redb: Option<redb::Database>,
    /// The number of the newest session.
    session: u64,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the file, or makes it (and its folder) when there is none.
    /// Blocks: seconds where a large file must be repaired.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(file: impl Into<PathBuf>) -> Result<Arc<Self>, OpenError> {
        Self::open_with(file, |file| {
            redb::Database::builder().set_cache_size(CACHE_BYTES).create(file)
        })
    }

    pub(super) fn open_with(
        file: impl Into<PathBuf>,
        opener: impl Fn(&Path) -> Result<redb::Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<Arc<Self>, OpenError> {
        let file = file.into();
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .map_err(|source| OpenError::Unwritable { file: file.clone(), source })?;
        }
        let redb = opened(&file, &opener)?;
        let held = Mutex::new(Held { redb: Some(redb), session: 0 });
        Ok(Arc::new(Self { file, opener: Box::new(opener), held }))
    }

    /// The file's path.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A new reader and writer; earlier ones are refused from now on. An
    /// incarnation that was given up as frozen can't overwrite what its
    /// successor wrote when its thread comes back.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> Session {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.session += 1;
        Session::new(Arc::clone(self), held.session)
    }

    /// Runs `work` on the open file, alone. Opens it again when the last work
    /// failed or panicked.
    pub(super) fn work<R>(
        &self,
        session: u64,
        work: impl FnOnce(&redb::Database) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(|poisoned| {
            self.held.clear_poison();
            let mut held = poisoned.into_inner();
            close(&mut held);
            held
        });
        if held.session != session {
            return Err(StoreError::Superseded);
        }
        let redb = match held.redb.take() {
            Some(redb) => redb,
            None => opened(&self.file, &*self.opener)
                .map_err(|source| StoreError::Reopen { source: Arc::new(source) })?,
        };
        let result = work(held.redb.insert(redb));
        if result.is_err() {
            close(&mut held);
        }
        result.map_err(StoreError::from)
    }
}

/// Lets go of the file. What a panic left behind in redb may panic again on
/// its way out; its file is released all the same.
fn close(held: &mut Held) {
    let redb = held.redb.take();
    if catch_unwind(AssertUnwindSafe(|| drop(redb))).is_err() {
        tracing::warn!("the store's file could not be closed in order; it is repaired on opening");
    }
}

fn opened(file: &Path, opener: &Opener) -> Result<redb::Database, OpenError> {
    let redb = match opener(file) {
        Err(error) if was_never_finished(file, &error) => {
            File::options()
                .write(true)
                .open(file)
                .and_then(|husk| husk.set_len(0))
                .map_err(|source| OpenError::Unwritable { file: file.into(), source })?;
            opener(file)
        }
        result => result,
    }
    .map_err(|error| open_error(file, error))?;
    check_schema(file, &redb)?;
    Ok(redb)
}

/// redb writes its magic number last when it makes a file. A file that was
/// killed before holds nothing; redb would refuse it for ever.
fn was_never_finished(file: &Path, error: &DatabaseError) -> bool {
    let DatabaseError::Storage(StorageError::Io(error)) = error else { return false };
    let mut magic = [1; 9];
    error.kind() == io::ErrorKind::InvalidData
        && File::open(file).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == [0; 9]
}

fn open_error(file: &Path, error: DatabaseError) -> OpenError {
    let file = file.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::AlreadyOpen { file },
        DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
            io::ErrorKind::InvalidData => OpenError::Foreign { file, reason: source.to_string() },
            io::ErrorKind::UnexpectedEof => OpenError::Damaged { file, reason: source.to_string() },
            _ => OpenError::Unwritable { file, source },
        },
        DatabaseError::UpgradeRequired(_) => OpenError::Foreign { file, reason: error.to_string() },
        error => OpenError::Damaged { file, reason: error.to_string() },
    }
}

/// Reads the schema's version; writes it, with all tables, into an empty file.
fn check_schema(file: &Path, redb: &redb::Database) -> Result<(), OpenError> {
    let damaged = |error: redb::Error| match error {
        redb::Error::Io(source) => OpenError::Unwritable { file: file.into(), source },
        error => OpenError::Damaged { file: file.into(), reason: error.to_string() },
    };
    let foreign = |reason: &str| OpenError::Foreign { file: file.into(), reason: reason.into() };
    match schema_version(redb).map_err(damaged)? {
        Schema::Empty => create_tables(redb).map_err(damaged),
        Schema::Version(SCHEMA_VERSION) => Ok(()),
        Schema::Version(found) if found > SCHEMA_VERSION => {
            Err(OpenError::NewerSchema { file: file.into(), found, known: SCHEMA_VERSION })
        }
        Schema::Version(_) | Schema::Unknown => Err(foreign("it tells no schema version")),
    }
}

enum Schema {
    Empty,
    Version(u32),
    Unknown,
}

fn schema_version(redb: &redb::Database) -> Result<Schema, redb::Error> {
    let transaction = redb.begin_read()?;
    let names: Vec<_> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if names.is_empty() {
        return Ok(Schema::Empty);
    }
    if !names.iter().any(|name| name == Table::Meta.name()) {
        return Ok(Schema::Unknown);
    }
    let Ok(meta) = transaction.open_table(Table::Meta.definition()) else {
        return Ok(Schema::Unknown);
    };
    let version = meta.get(SCHEMA_VERSION_KEY)?;
    let version = version.and_then(|bytes| <[u8; 4]>::try_from(bytes.value()).ok());
    Ok(version.map_or(Schema::Unknown, |bytes| Schema::Version(u32::from_be_bytes(bytes))))
}

fn create_tables(redb: &redb::Database) -> Result<(), redb::Error> {
    let mut transaction = redb.begin_write()?;
    transaction.set_quick_repair(true);
    for table in Table::ALL {
        let mut table_handle = transaction.open_table(table.definition())?;
        if table == Table::Meta {
            table_handle.insert(SCHEMA_VERSION_KEY, SCHEMA_VERSION.to_be_bytes().as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}
