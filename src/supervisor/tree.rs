//! The tree: children by name, and what may be asked of them.

use std::{io, sync::Arc, thread, time::Duration};

use actix_rt::System;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    actor_ref::ActorRef,
    child::{Child, ChildSpec, Command},
    end::{End, EndReason},
    snapshot::{ChildSnapshot, ChildState, Status},
    step::{StepLimits, Steps},
    stepper::Stepper,
    supervise::Supervise,
    trunk::{Branch, Trunk},
};

/// The bounds of a tree.
#[derive(Clone, Copy, Debug)]
pub struct TreeLimits {
    /// Children it holds.
    pub children_max: usize,
    /// Threads of each class but `Dedicated`, started as they are needed.
    pub arbiters_per_class: usize,
    /// Abandoned threads that may still be blocked before no further thread
    /// is started.
    pub stuck_threads_max: usize,
    /// How long an aborted actor has to let go of its thread before the
    /// thread is abandoned.
    pub abort_grace: Duration,
}

impl Default for TreeLimits {
    /// 4096 children, one thread a class, 16 stuck threads, a second's grace.
    fn default() -> Self {
        Self {
            children_max: 4096,
            arbiters_per_class: 1,
            stuck_threads_max: 16,
            abort_grace: Duration::from_secs(1),
        }
    }
}

/// Is told what happens in the tree, on the supervising thread: it must
/// neither block nor panic. Metrics implement it.
pub trait TreeObserver: Send + Sync {
    /// The actor began or ceased to answer.
    fn up(&self, actor: &str, up: bool);
    /// An incarnation ended for `reason` and is followed by another.
    fn restarted(&self, actor: &str, reason: EndReason);
    /// The actor is given up until a person acts.
    fn failed(&self, actor: &str);
    /// The actor finished, was drained or removed: nothing more comes of it.
    fn forgotten(&self, actor: &str);
}

/// Why an actor was not spawned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSpawned {
    /// Two actors of one name would be two writers of one state.
    #[error("there already is an actor `{name}`")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The tree is being drained.
    #[error("actor `{name}` comes too late: the tree is being drained")]
    Draining {
        /// The name.
        name: String,
    },
    /// The tree is full.
    #[error("no room for actor `{name}`: the tree holds {children_max} actors")]
    Full {
        /// The name.
        name: String,
        /// The bound.
        children_max: usize,
    },
}

/// Why the tree could not do what was asked of a child.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// No child has this name.
    #[error("there is no actor `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Only a failed child can be retried.
    #[error("actor `{name}` has not failed: it is {state:?}")]
    NotFailed {
        /// The name.
        name: String,
        /// What it is doing.
        state: ChildState,
    },
}

/// Commands to one child that may wait for its supervising task.
const COMMANDS_MAX: usize = 8;

/// A handle to the tree; clones are the same tree. When the last one is gone,
/// its threads stop, and what still ran ends as if killed.
#[derive(Clone)]
pub struct Tree {
    trunk: Arc<Trunk>,
    root: Arc<Root>,
}

/// The thread of the supervising tasks: an actix system of its own, so that
/// it depends on nobody's runtime and no actor can block it.
struct Root {
    /// None where the tree lives on the thread of whoever made it.
    system: Option<System>,
    tasks: Handle,
}

impl Drop for Root {
    fn drop(&mut self) {
        if let Some(system) = &self.system {
            system.stop();
        }
    }
}

impl Tree {
    /// Starts the supervising thread.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be had.
    pub fn start(limits: TreeLimits, observer: Arc<dyn TreeObserver>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let tasks = runtime.handle().clone();
        let (started, system) = std::sync::mpsc::sync_channel(1);
        thread::Builder::new().name("supervisor".to_owned()).spawn(move || {
            let runner = System::with_tokio_rt(move || runtime);
            if started.send(System::current()).is_ok()
                && let Err(error) = runner.run()
            {
                tracing::error!(%error, "the supervising thread ended");
            }
        })?;
        let system = system.recv().map_err(io::Error::other)?;
        let (trunk, system) = (Trunk::new(limits, observer), Some(system));
        Ok(Self { trunk: Arc::new(trunk), root: Arc::new(Root { system, tasks }) })
    }

    /// A tree on this thread and its actix system, with all its actors: for simulations.
    /// Must be called within the system.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn here(limits: TreeLimits, observer: Arc<dyn TreeObserver>) -> Self {
        let root = Root { system: None, tasks: Handle::current() };
        Self { trunk: Arc::new(Trunk::here(limits, observer)), root: Arc::new(root) }
    }

    /// Takes an actor into the tree. `factory` makes each incarnation, on the
    /// thread it will run on.
    ///
    /// # Errors
    /// See [`NotSpawned`].
    pub fn spawn<A: Supervise>(
        &self,
        spec: ChildSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<ActorRef<A>, NotSpawned> {
        let name: Arc<str> = spec.name.as_str().into();
        let (current, seen) = watch::channel(None);
        let (commander, commands) = mpsc::channel(COMMANDS_MAX);
        let status = Arc::new(Status::default());
        let branch = Branch { class: spec.class, commands: commander, status: Arc::clone(&status) };
        self.trunk.add(Arc::clone(&name), branch)?;
        let child = Child {
            name: Arc::clone(&name),
            spec,
            factory: Arc::new(factory),
            current,
            commands,
            status,
            trunk: Arc::clone(&self.trunk),
        };
        self.root.tasks.spawn(child.supervise());
        Ok(ActorRef::new(name, seen))
    }

    /// Takes an actor that works in steps into the tree.
    ///
    /// # Errors
    /// See [`NotSpawned`].
    pub fn spawn_steps<S: Steps>(
        &self,
        spec: ChildSpec,
        limits: StepLimits,
        factory: impl Fn() -> S + Send + Sync + 'static,
    ) -> Result<ActorRef<Stepper<S>>, NotSpawned> {
        self.spawn(spec, move || Stepper::new(factory(), limits))
    }

    /// All children, by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ChildSnapshot> {
        let children = self.trunk.children();
        children.iter().map(|(name, branch)| branch.status.snapshot(name, branch.class)).collect()
    }

    /// Drains one child, within `limit`, and forgets it. Tells how it ended.
    ///
    /// # Errors
    /// When there is no such child.
    pub async fn remove(&self, name: &str, limit: Duration) -> Result<End, TreeError> {
        let (done, ended) = oneshot::channel();
        self.command(name, Command::Drain { deadline: Instant::now() + limit, done }).await?;
        // The sender is dropped unused when the child ended before it read this.
        ended.await.map_err(|_| unknown(name))
    }

    /// Panics inside the actor, between two of its messages: fault injection.
    ///
    /// # Errors
    /// When there is no such child.
    pub async fn crash(&self, name: &str) -> Result<(), TreeError> {
        self.command(name, Command::Crash).await
    }

    /// Starts a failed child again, with a fresh budget.
    ///
    /// # Errors
    /// When there is no such child, or it has not failed.
    pub async fn retry_failed(&self, name: &str) -> Result<(), TreeError> {
        let state = self.trunk.children().get(name).map(|branch| branch.status.state());
        match state {
            Some(ChildState::Failed) => self.command(name, Command::Retry).await,
            Some(state) => Err(TreeError::NotFailed { name: name.to_owned(), state }),
            None => Err(unknown(name)),
        }
    }

    async fn command(&self, name: &str, command: Command) -> Result<(), TreeError> {
        let commands = self.trunk.children().get(name).map(|branch| branch.commands.clone());
        let commands = commands.ok_or_else(|| unknown(name))?;
        commands.send(command).await.map_err(|_| unknown(name))
    }

    pub(super) fn trunk(&self) -> &Trunk {
        &self.trunk
    }
}

fn unknown(name: &str) -> TreeError {
    TreeError::Unknown { name: name.to_owned() }
}
