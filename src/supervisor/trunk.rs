//! What the tree shares with the supervising tasks of its children.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc;

use super::{
    arbiters::{ArbiterClass, Arbiters},
    child::Command,
    snapshot::Status,
    tree::{NotSpawned, TreeLimits, TreeObserver},
};

pub(super) struct Trunk {
    pub(super) limits: TreeLimits,
    pub(super) arbiters: Arbiters,
    pub(super) observer: Arc<dyn TreeObserver>,
    children: Mutex<BTreeMap<Arc<str>, Branch>>,
    closed: AtomicBool,
}

/// A child as the tree holds it.
pub(super) struct Branch {
    pub(super) class: ArbiterClass,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: Arc<Status>,
}

impl Trunk {
    pub(super) fn new(limits: TreeLimits, observer: Arc<dyn TreeObserver>) -> Self {
        Self {
            limits,
            arbiters: Arbiters::new(limits.arbiters_per_class, limits.stuck_threads_max),
            observer,
            children: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// All on one thread.
    #[cfg(feature = "simulation")]
    pub(super) fn here(limits: TreeLimits, observer: Arc<dyn TreeObserver>) -> Self {
        Self { arbiters: Arbiters::here(), ..Self::new(limits, observer) }
    }

    pub(super) fn children(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Branch>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.children().keys().cloned().collect()
    }

    pub(super) fn add(&self, name: Arc<str>, branch: Branch) -> Result<(), NotSpawned> {
        let mut children = self.children();
        let children_max = self.limits.children_max;
        if self.closed.load(Ordering::SeqCst) {
            return Err(NotSpawned::Draining { name: name.to_string() });
        }
        if children.contains_key(&name) {
            return Err(NotSpawned::NameTaken { name: name.to_string() });
        }
        if children.len() >= children_max {
            return Err(NotSpawned::Full { name: name.to_string(), children_max });
        }
        children.insert(name, branch);
        Ok(())
    }

    pub(super) fn forget(&self, name: &Arc<str>) {
        self.children().remove(name);
        self.observer.forgotten(name);
    }

    /// Refuses children from now on. Under the lock under which they are
    /// added: whoever lists them next sees the last.
    pub(super) fn close(&self) {
        let _children = self.children();
        self.closed.store(true, Ordering::SeqCst);
    }
}
