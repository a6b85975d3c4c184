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
mod manning;
mod measuring;
mod noting;
mod reopening;
mod replacing;
mod retelling;
mod sending;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::Message;
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, utils::format_ether},
};
use serde_json::{Value as Json, json};
use tokio::{sync::watch, time::Instant};

use self::{
    at_head::AtHead,
    auditing::Audits,
    books::{Books, HEAR_WAIT},
    budgets::Exhausted,
    closing::Closed,
};
pub use self::{
    auditing::{Audit, AuditReport, Drifted},
    forgiving::{NotRetried, Retry},
};
use super::{
    messages::MessageError,
    outbox::{OutboxError, Outgoing},
    shared::{ChainLink, Shared},
    transaction::{Sightings, TransactionActor},
};
use crate::{
    chain::rpc::RpcError,
    clock, config,
    domain::Name,
    signing::{
        batcher::Batcher,
        calls::{Calls, Role},
        keys::{KeyError, SignerKey},
        ledger::{LedgerError, Mined, NonceRecord},
        lifecycle::StuckReason,
        reverts::RevertDecoder,
        send_errors::SendOutcome,
    },
    store::StoreError,
    streams::{
        PublishError, StreamError,
        fence::FenceError,
        subjects::{Writer, WriterKind},
    },
    supervisor::{ActorRef, Next, Receives, Stepper, Steps, Tree},
};

/// What a new incarnation is made of.
#[derive(Clone)]
pub struct SignerSpec {
    /// Shared parts.
    pub shared: Shared,
    /// The chain.
    pub link: ChainLink,
    /// Its configuration.
    pub config: config::Signer,
    /// The key, loaded once.
    pub key: Arc<SignerKey>,
    /// The contracts that keep achievements.
    pub keepers: Arc<BTreeMap<Name, Keeper>>,
    /// What the rule sets that have a budget may spend of this signer's, in wei a day.
    pub set_budgets: Arc<BTreeMap<Name, U256>>,
    /// Explains reverts.
    pub decoder: Arc<RevertDecoder>,
    /// Where transaction actors are spawned.
    pub tree: Tree,
    /// The signer's own address in the tree, for its transaction actors.
    pub own: Arc<OnceLock<ActorRef<Stepper<SignerActor>>>>,
    /// How often the chain is asked.
    pub poll: Duration,
    /// Of a rollup: what says how much it charges for a transaction's data.
    pub l1_fee_oracle: Option<Address>,
    /// How deep a reorg of the chain may be, in blocks.
    pub finality_depth: u64,
}

/// A contract that keeps achievements.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Its configured name.
    pub name: Name,
    /// The roles that rules need the signer to have on it.
    pub roles: Vec<Role>,
    /// Where it is.
    pub address: Address,
    /// How it is called.
    pub calls: Arc<Calls>,
    /// What is done when nothing tells whether an unlock landed.
    pub delivery: config::Delivery,
}

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

/// Why a round did not get through; all of it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Nothing is wrong with the daemon: a person has to do something.
    #[error("{0}")]
    Held(String),
}

/// Why an incarnation ends.
#[derive(Debug, thiserror::Error)]
pub enum SignerFailure {
    /// Another daemon signs with this key now.
    #[error(transparent)]
    Fenced(PublishError),
    /// The books contradict an input: going on could double an effect.
    #[error("the ledger refuses to go on: {0}")]
    Ledger(LedgerError),
}

/// How often balance and nonces are compared with the chain, seconds.
const RECONCILE_EVERY_S: u64 = 60;
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

    /// Compares nonces and balance with the chain, now and then, and looks for
    /// orphaned transactions each time.
    async fn look_at_chain(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let now = unix_ms() / 1000;
        // Where the clock was set back it tells nothing.
        let is_old = |at: u64| now.checked_sub(at).is_none_or(|age| age >= RECONCILE_EVERY_S);
        let stale = self.balance.is_none_or(|(_, at)| is_old(at));
        let roles = self.spec.shared.role_events.load(Ordering::Relaxed);
        let due = self.reconcile || stale || roles != self.roles_seen;
        self.reopen_orphaned(books, due).await?;
        if due { Box::pin(self.ask_chain(books, now, roles)).await } else { Ok(()) }
    }

    async fn ask_chain(&mut self, books: &mut Books, now: u64, roles: u64) -> Result<(), Trouble> {
        let client = self.spec.link.client.clone();
        let address = self.spec.key.address();
        let balance = client.balance(address, BlockNumberOrTag::Latest).await?;
        self.balance = Some((balance, now));
        if books.fresh {
            self.require_all_final(books).await?;
        }
        self.check_rights().await?;
        self.roles_seen = roles;
        let latest = client.transaction_count(address, BlockNumberOrTag::Latest).await?;
        let pending = client.transaction_count(address, BlockNumberOrTag::Pending).await?;
        self.reconcile(books, latest, pending).await?;
        self.reconcile = false;
        Ok(())
    }

    /// Books that begin anew can't know what an earlier life signed, beyond
    /// what the stream still tells. Once every transaction of the key is final,
    /// the contract's own answer is the whole truth.
    async fn require_all_final(&mut self, books: &mut Books) -> Result<(), Trouble> {
        let link = self.spec.link.clone();
        let address = self.spec.key.address();
        let (_, place) = link.confirmed(self.spec.config.confirmations).await?;
        let settled = link.transactions_of(address, place).await?;
        let pending = link.transactions_of(address, BlockNumberOrTag::Pending).await?;
        if settled < pending {
            return Err(Trouble::Held(format!(
                "these books are new and {} earlier transactions of {address} are not final yet",
                pending - settled
            )));
        }
        self.hear_own_words(books).await?;
        if settled > 0 {
            self.doubt_all(books).await?;
            self.recheck_unwanted(books).await?;
        }
        self.unmark_fresh(books).await
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
