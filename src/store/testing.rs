//! A store without a supervisor, and a file that fails when told to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fmt,
    fs::File,
    io,
    num::{NonZeroU32, NonZeroUsize},
    ops::Bound,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{Database, OpenError, StoreHandle, StoreLimits};
use crate::{
    actors::store::StoreActor,
    breakers::{BreakerSpec, Guard, GuardSpec, RetrySpec},
    supervisor::{ArbiterClass, ChildSpec, EndReason, Tree, TreeLimits, TreeObserver},
    telemetry::Metrics,
};
use redb::{BackendError, StorageBackend, backends::FileBackend};

/// A store actor in a tree of its own, until this is dropped.
pub(crate) struct Detached {
    pub(crate) handle: StoreHandle,
    tree: Tree,
}

/// Ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// Metrics are not what these tests are about.
struct Unobserved;

impl TreeObserver for Unobserved {
    fn up(&self, _: &str, _: bool) {}
    fn restarted(&self, _: &str, _: EndReason) {}
    fn failed(&self, _: &str) {}
    fn forgotten(&self, _: &str) {}
}

impl Detached {
    pub(crate) fn start(database: Arc<Database>, metrics: &Metrics) -> Self {
        let tree = Tree::start(TreeLimits::default(), Arc::new(Unobserved)).unwrap();
        let spec = ChildSpec::new("store", ArbiterClass::Dedicated);
        let counts = metrics.clone();
        let actor = tree.spawn(spec, move || StoreActor::new(&database, counts.clone())).unwrap();
        let limit = PATIENCE;
        let handle = StoreHandle::new(
            actor,
            Guard::new(guard_spec(limit), metrics).unwrap(),
            StoreLimits { commit: limit, read: limit },
        );
        Self { handle, tree }
    }

    /// Returns when the actor is gone. The file is closed soon after, when the
    /// supervising task has let go of the factory: see [`reopen`].
    pub(crate) async fn stop(self) {
        self.tree.remove("store", PATIENCE).await.unwrap();
    }
}

/// Opens a file that is being closed.
pub(crate) async fn reopen(file: &Path) -> Arc<Database> {
    let opened = async {
        loop {
            match Database::open(file) {
                Err(OpenError::AlreadyOpen { .. }) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, opened).await.unwrap()
}

fn guard_spec(limit: Duration) -> GuardSpec {
    GuardSpec {
        dependency: "store".to_owned(),
        max_concurrent: NonZeroUsize::new(128).unwrap(),
        max_queued: 128,
        queue_timeout: limit,
        call_timeout: limit,
        breaker: BreakerSpec {
            consecutive_failures: NonZeroU32::MAX,
            cooldown_min: Duration::from_secs(1),
            cooldown_max: Duration::from_secs(1),
        },
        retry: RetrySpec {
            max_attempts: NonZeroU32::MIN,
            backoff_min: Duration::from_millis(1),
            backoff_max: Duration::from_millis(1),
            budget_percent: 0,
        },
    }
}

type Fault = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Decides what the next `fsync` of a [`faulty`] file does.
#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    pub(crate) fn at_next_sync(&self, fault: impl FnOnce() -> io::Result<()> + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(fault));
    }
}

/// A store whose file obeys `faults`.
pub(crate) fn faulty(file: &Path, faults: &Faults) -> Arc<Database> {
    let faults = faults.clone();
    Database::open_with(file, move |file| {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(file)?;
        let backend = FaultyFile { inner: FileBackend::new(file)?, faults: faults.clone() };
        redb::Database::builder().create_with_backend(backend)
    })
    .unwrap()
}

struct FaultyFile {
    inner: FileBackend,
    faults: Faults,
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyFile")
    }
}

impl StorageBackend for FaultyFile {
    fn sync_data(&self) -> io::Result<()> {
        let fault = self.faults.0.lock().unwrap().take();
        fault.map_or(Ok(()), |fault| fault())?;
        self.inner.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }
    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }
    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
