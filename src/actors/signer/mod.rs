//! The signer actor, one per signer: takes unlock requests from the stream,
//! keeps the nonce ledger, signs, writes down, and only then hands each
//! transaction to a transaction actor of its own.
//!
//! Its step is a round: hear what rule sets want, note what transaction
//! actors report, send what is due. Each part commits before it acts. When a
//! commit fails, the books in memory are dropped and read again.

mod asking;
mod at_head;
mod auditing;
mod blaming;
mod books;
mod budgets;
mod checking;
mod closing;
mod forgiving;
mod looking;
mod manning;
mod measuring;
mod noting;
mod reopening;
mod replacing;
mod retelling;
mod sending;
mod spec;
mod trouble;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use actix::Message;
use alloy::primitives::{B256, U256, utils::format_ether};
use serde_json::{Value as Json, json};
use tokio::{sync::watch, time::Instant};

use self::{
    at_head::AtHead,
    auditing::Audits,
    books::{Books, HEAR_WAIT},
    budgets::Exhausted,
    closing::Closed,
    trouble::Trouble,
};
pub use self::{
    auditing::{Audit, AuditReport, Drifted},
    forgiving::{NotRetried, Retry},
    spec::{Keeper, SignerSpec},
    trouble::SignerFailure,
};
use super::{
    outbox::{OutboxError, Outgoing},
    transaction::{Sightings, TransactionActor},
};
use crate::{
    clock,
    domain::Name,
    signing::{
        batcher::Batcher,
        ledger::{Mined, NonceRecord},
        lifecycle::StuckReason,
        send_errors::SendOutcome,
    },
    streams::{
        PublishError,
        subjects::{Writer, WriterKind},
    },
    supervisor::{ActorRef, Next, Receives, Stepper, Steps},
};

/// What it owns: the books.
pub struct SignerActor {
    spec: SignerSpec,
    holder: String,
    books: Option<Box<Books>>,
    batcher: Batcher,
    /// Contracts that unlock one item a call.
    singles: BTreeSet<Name>,
    reports: VecDeque<FromTransaction>,
    /// Unlocks to be tried again, and who waits to hear of it.
    retries: VecDeque<Retry>,
    audits: Audits,
    /// Each live nonce's record, as its transaction actor sees it.
    records: BTreeMap<u64, watch::Sender<NonceRecord>>,
    actors: BTreeMap<u64, ActorRef<Stepper<TransactionActor>>>,
    /// What the node estimated for each live nonce of this incarnation.
    estimates: BTreeMap<u64, u64>,
    /// Budgets that are used up.
    exhausted: Exhausted,
    /// Contracts that refuse every call.
    closed: Closed,
    /// Go out with the next commit.
    notices: Vec<Outgoing>,
    reconcile: bool,
    /// How many events had told of roles when the signer's were asked for.
    roles_seen: u64,
    /// The last round found something to do.
    busy: bool,
    at_head: Option<AtHead>,
    /// When the key did not sign, if that was the last time it was asked.
    key_failed: Option<Instant>,
    /// What its transactions ask alike.
    sightings: Arc<Sightings>,
    /// Endpoints don't run many questions as one call.
    asks_singly: AtomicBool,
    balance: Option<(U256, u64)>,
    marks: u64,
    /// The oldest header that was known when orphaned transactions were looked for last.
    window_began: Option<B256>,
    trouble: Option<String>,
}

/// What a transaction actor tells its signer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct FromTransaction {
    /// Which nonce.
    pub nonce: u64,
    /// What happened to it.
    pub what: Reported,
}

/// What happened to a nonce, or what is wanted for it.
#[derive(Clone, Debug)]
pub enum Reported {
    /// A node has this attempt.
    Sent(B256),
    /// An attempt is in a block.
    Mined {
        /// Which, where, and what it did.
        mined: Mined,
        /// Gas it used.
        gas_used: u64,
        /// Wei per gas it paid.
        price: u128,
        /// Wei that a rollup charged for its data.
        l1_fee: U256,
    },
    /// A reorg took the attempt off the chain.
    Unmined(B256),
    /// The mined attempt is deep enough.
    Confirmed,
    /// A foreign transaction used the nonce, deep enough.
    Displaced,
    /// No pool holds the attempt any more; it is sent again.
    Dropped(B256),
    /// A node misses an earlier nonce.
    Gap,
    /// It does not move.
    Stuck(StuckReason),
    /// No node takes it.
    Refused(SendOutcome),
    /// A new attempt is wanted.
    Wants(Replace),
}

/// Which new attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// A dearer one with the same effect.
    Bump,
    /// An empty one that uses the nonce up.
    Cancel,
}

/// Pause after a round that had nothing to do and did not even listen.
const IDLE: Duration = Duration::from_millis(100);
/// Pause after a round that did not get through.
const RETRY: Duration = Duration::from_millis(750);
/// The same when a key management service did not sign: each try is paid for.
const RETRY_KEY: Duration = Duration::from_secs(5);

impl SignerActor {
    /// An actor that will read its books from the store.
    #[must_use]
    pub fn new(spec: SignerSpec) -> Self {
        let holder = spec.shared.incarnation();
        let singles = spec.keepers.iter().filter(|(_, keeper)| !keeper.calls.has_batch());
        let singles = singles.map(|(name, _)| name.clone()).collect();
        Self {
            spec,
            holder,
            books: None,
            batcher: Batcher::default(),
            singles,
            reports: VecDeque::new(),
            retries: VecDeque::new(),
            audits: Audits::new(),
            records: BTreeMap::new(),
            actors: BTreeMap::new(),
            estimates: BTreeMap::new(),
            exhausted: Exhausted::default(),
            closed: Closed::default(),
            notices: Vec::new(),
            reconcile: true,
            roles_seen: 0,
            busy: false,
            at_head: None,
            key_failed: None,
            sightings: Arc::default(),
            asks_singly: AtomicBool::new(false),
            balance: None,
            marks: 0,
            window_began: None,
            trouble: None,
        }
    }

    fn name(&self) -> &Name {
        &self.spec.config.name
    }

    fn writer(&self) -> Writer {
        Writer::new(WriterKind::Signer, self.name().clone())
    }

    /// Makes ids of messages unlike each other, for the life of this
    /// incarnation: the broker would take a repeated one for a duplicate.
    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("{}-{}", self.holder, self.marks)
    }

    /// The prefix of its rows in the store.
    fn owner(&self) -> String {
        self.writer().to_string()
    }

    /// What most rounds do not do has a future of its own on the heap: a round's is moved when
    /// it is made, with all that is in it.
    async fn round(&mut self) -> Result<Next, Trouble> {
        let reconnects = *self.spec.shared.connection.reconnects().borrow();
        let mut books = match self.books.take() {
            Some(books) if books.reconnects == reconnects => books,
            _ => Box::new(Box::pin(self.open_books()).await?),
        };
        let began = Instant::now();
        let heard = self.hear(&mut books).await?;
        // A round that has listened goes on listening: what came during a pause would wait.
        let listened = began.elapsed() >= HEAR_WAIT / 2;
        if !self.reports.is_empty() {
            Box::pin(self.note_reports(&mut books)).await?;
        }
        if !self.retries.is_empty() {
            Box::pin(self.forgive(&mut books)).await?;
        }
        self.say(&mut books).await?;
        if books.caught_up && !books.retold {
            Box::pin(self.adopt_retold(&mut books)).await?;
        }
        // What is broadcast stands in the store and on the stream by now. Books from an older
        // copy may lack attempts: whoever looks for the others alone takes the one that is
        // mined for somebody else's.
        if books.retold {
            self.man_nonces(&books);
        }
        // Books are whole between two commits, so trouble with the chain in
        // what follows does not cost them. History that is still being heard
        // passes through wishes that no longer hold: nothing is sent then.
        let frozen = self.spec.link.view.borrow().as_ref().and_then(|view| view.frozen.clone());
        let sent = if let Some(why) = frozen {
            Err(Trouble::Held(format!("the chain is frozen: {why}")))
        } else if self.spec.shared.pauses.now().signer(self.name()) {
            // Heard and watched it is all the same.
            Ok(false)
        } else if books.retold && books.caught_up {
            self.look_and_send(&mut books).await
        } else {
            Ok(false)
        };
        self.measure(&books);
        match sent {
            Ok(sent) => {
                self.books = Some(books);
                self.busy = heard || sent;
                Ok(if self.busy || listened { Next::Again } else { Next::After(IDLE) })
            }
            Err(trouble @ (Trouble::Rpc(_) | Trouble::Key(_) | Trouble::Held(_))) => {
                self.books = Some(books);
                Err(trouble)
            }
            Err(trouble) => Err(trouble),
        }
    }

    async fn look_and_send(&mut self, books: &mut Books) -> Result<bool, Trouble> {
        self.look_at_chain(books).await?;
        let sent = self.send_next(books).await?;
        // What waits goes first.
        if sent { Ok(true) } else { self.audit(books).await }
    }
}

/// Wall-clock time, milliseconds since the Unix epoch: paces batches and
/// dates budgets, never decides what was earned.
fn unix_ms() -> u64 {
    u64::try_from(clock::unix_now().as_millis()).unwrap_or(u64::MAX)
}

impl Receives<FromTransaction> for SignerActor {
    fn receive(&mut self, message: FromTransaction) {
        self.reports.push_back(message);
    }
}

impl Steps for SignerActor {
    type Failure = SignerFailure;

    async fn started(&mut self) -> Result<(), SignerFailure> {
        Ok(())
    }

    async fn step(&mut self) -> Result<Next, SignerFailure> {
        match self.round().await {
            Ok(next) => {
                if self.trouble.take().is_some() {
                    tracing::info!(signer = %self.name(), "the signer works again");
                }
                Ok(next)
            }
            Err(Trouble::Outbox(OutboxError::Publish(fenced @ PublishError::Fenced { .. }))) => {
                Err(SignerFailure::Fenced(fenced))
            }
            Err(Trouble::Ledger(error)) => Err(SignerFailure::Ledger(error)),
            Err(trouble) => {
                let why = trouble.to_string();
                if self.trouble.as_ref() != Some(&why) {
                    tracing::warn!(signer = %self.name(), "{why}");
                }
                self.trouble = Some(why);
                let pause = if matches!(trouble, Trouble::Key(_)) { RETRY_KEY } else { RETRY };
                Ok(Next::After(pause))
            }
        }
    }

    async fn drain(&mut self) {
        if let Some(mut books) = self.books.take() {
            // Everything that matters is committed; this only spares a repetition.
            let _ = self.say(&mut books).await;
            let _ = self.spec.shared.store.commit(books.outbox.forget_said()).await;
        }
    }

    fn observe(&self) -> Json {
        let books = self.books.as_ref();
        json!({
            "address": self.spec.key.address().to_checksum(None),
            "next_nonce": books.map(|books| books.ledger.next_nonce()),
            "queued": books.map(|books| books.ledger.ready().len()),
            "in_flight": books.map(|books| books.ledger.live_nonces().count()),
            "caught_up": books.map(|books| books.caught_up),
            "gas": books.map(|books| books.gas),
            "over_budget": self.exhausted.shown(),
            "balance_ether": self.balance.map(|(wei, _)| format_ether(wei)),
            "paused": self.spec.shared.pauses.now().signer(self.name()),
            "not_ready": self.trouble.clone().or_else(|| self.closed.shown()),
        })
    }
}
