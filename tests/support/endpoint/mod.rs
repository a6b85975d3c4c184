//! An endpoint that stands before a real node and fails or lies as a test
//! tells it to.
//!
//! It hands calls on to the node and changes what comes back by its
//! [`Script`], which can be replaced at any time. A script is put together
//! from parts, each in a file of its own; what is drawn is drawn from seeds.
//!
//! - `fault`: HTTP: slow, silent, cut, garbled, refusing
//! - `cap`, `wording`: limits of `eth_getLogs`, in the words of providers
//! - `lag`: a head behind the node's
//! - `branch`: another branch, or one block of it now and then
//! - `edit`: logs withheld, invented, altered
//! - `receipt_lie`: receipts hidden, or said to have failed
//! - `drawn`: a schedule of all that

mod acting;
mod branch;
mod call;
mod cap;
mod drawn;
mod edit;
mod editing;
mod fault;
mod forger;
mod lag;
mod log_book;
mod receipt_lie;
mod refusal;
mod script;
mod server;
mod upstream;
mod when;
pub mod wording;

use std::sync::Arc;

use actix_web::dev::ServerHandle;

pub use branch::Branch;
pub use call::CREATION;
pub use cap::Cap;
pub use drawn::Faults;
pub use edit::{Edit, ForgedLog, Reach, Which};
pub use fault::Fault;
pub use lag::Lag;
pub use log_book::{Counts, Request};
pub use receipt_lie::ReceiptLie;
pub use refusal::Refusal;
pub use script::{Batches, Script};
pub use when::When;

use server::Stage;

/// The running endpoint; it ends when this is dropped.
pub struct ScriptedEndpoint {
    url: String,
    stage: Arc<Stage>,
    server: ServerHandle,
}

impl ScriptedEndpoint {
    /// Stands before the node at `upstream`, honestly until it is told
    /// otherwise.
    pub async fn start(upstream: &str) -> Self {
        let stage = Arc::new(Stage::new(upstream));
        let (server, address) = server::start(Arc::clone(&stage)).await;
        Self { url: format!("http://{address}"), stage, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it does from now on. Counts of rules begin anew, and requests
    /// that hang go on.
    pub fn set(&self, script: Script) {
        self.stage.set(script);
    }

    /// Lets the requests go on that hang by now.
    pub fn release(&self) {
        self.stage.release();
    }

    /// Goes through a schedule, and is honest after it.
    pub async fn play(&self, faults: Faults) {
        for act in faults.acts {
            self.set(act.script);
            tokio::time::sleep(act.lasts).await;
        }
        self.set(Script::honest());
    }

    /// What it was asked since it started.
    pub fn counts(&self) -> Counts {
        self.stage.log_book().counts.clone()
    }

    /// The latest of what it was asked, the oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.stage.log_book().latest.iter().cloned().collect()
    }
}

impl Drop for ScriptedEndpoint {
    fn drop(&mut self) {
        // The command is given by the call; waiting for its end is optional.
        drop(self.server.stop(false));
    }
}
