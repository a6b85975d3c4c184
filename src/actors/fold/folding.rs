//! What each fold that is an actor has of its own.

use serde_json::Value as Json;

use super::super::{messages::MessageError, outbox::Outgoing, shared::Shared};
use crate::{
    chain::rpc::RpcError,
    fold::{Emission, Engine, Fold, Source},
    streams::{
        StreamError,
        read::Stored,
        subjects::{StreamId, Writer},
    },
};

/// What makes a fold an actor: its name, its sources and its messages.
pub trait Folding: 'static {
    /// The pure part.
    type Fold: Fold + Clone;
    /// What learning remembers while the actor lives.
    type Asking: Default;

    /// Who writes.
    fn writer(&self) -> Writer;
    /// The stream it writes to.
    fn stream(&self) -> StreamId;
    /// What it folds.
    fn fold(&self) -> Self::Fold;
    /// What of the fold decides its results: other results are rebuilt.
    fn version(&self) -> String;
    /// The contracts it reads, with the names of their chains.
    fn sources(&self) -> Vec<(crate::domain::Name, Source)>;
    /// What to say about an emission.
    ///
    /// # Errors
    /// When it can't be written as a message.
    fn say(
        &self,
        emission: &Emission<<Self::Fold as Fold>::Output>,
    ) -> Result<Vec<Outgoing>, MessageError>;
    /// Learns from the chain what events don't tell. Returns whether it did.
    /// Called each round; `asking` is what it remembers of earlier ones.
    fn learn(
        &self,
        asking: &mut Self::Asking,
        engine: &mut Engine<Self::Fold>,
    ) -> impl Future<Output = Result<bool, RpcError>>;
    /// What it means, where that decides what becomes of what was said before; `None`
    /// where nothing is said, or nothing depends on it.
    fn meaning(&self) -> Option<String> {
        None
    }

    /// What must be done about what was said when it meant this, and something else
    /// than now.
    fn on_change(&self, older: &str) -> Change {
        let _ = older;
        Change::Rebuild
    }

    /// How often something was taken back because it meant something else: told
    /// before anything is said. As long as that is 0, what it says has the ids that it
    /// would have from nothing: a store that was lost repeats nothing then.
    fn generation(&self, taken_back: u64) {
        let _ = taken_back;
    }

    /// What tells the stream that is read from others before and after it, in which the
    /// same sequence is another message: told before anything is said.
    fn reads(&self, era: u64) {
        let _ = era;
    }

    /// What is to be kept of an emission, whatever becomes of the fold.
    fn keep(&self, emission: &Emission<<Self::Fold as Fold>::Output>) -> Option<Keep> {
        let _ = emission;
        None
    }

    /// Where its words about what it keeps are: streams, each with filters that don't
    /// overlap.
    fn words(&self) -> Vec<(StreamId, Vec<String>)> {
        Vec::new()
    }

    /// A word of its own, as it is on a stream; `None` if it is none.
    fn word(&self, stored: &Stored) -> Option<Keep> {
        let _ = stored;
        None
    }

    /// Says what is kept. `mark` tells the message from every other.
    ///
    /// # Errors
    /// When it can't be written as a message.
    fn say_kept(&self, said: &[u8], mark: &str) -> Result<Option<Outgoing>, MessageError> {
        let _ = (said, mark);
        Ok(None)
    }

    /// What is to be said about something that was said before, and that a fold which was
    /// made anew does not say; of an older version it is taken back only if `older`
    /// says so. `mark` tells the message from every other.
    ///
    /// # Errors
    /// When it can't be written as a message.
    fn drop_kept(
        &self,
        kept: &[u8],
        older: bool,
        mark: &str,
    ) -> Result<Option<Outgoing>, MessageError> {
        let _ = (kept, older, mark);
        Ok(None)
    }

    /// Words of [`Folding::say_kept`] are durable: told once, whatever it takes to say
    /// them.
    fn settled_kept(&self, shared: &Shared, said: &[Vec<u8>]) {
        let _ = (shared, said);
    }

    /// What else is to be said once a fold that was made anew has come as far as the one
    /// before it. `generation` is the present one; see [`Mended`].
    fn mend(
        &self,
        shared: &Shared,
        engine: &Engine<Self::Fold>,
        generation: u64,
    ) -> impl Future<Output = Result<Mended, NotMended>> {
        let _ = (shared, engine);
        std::future::ready(Ok(Mended { outgoing: Vec::new(), generation }))
    }

    /// The fold was opened, with this state.
    fn opened(&self, shared: &Shared, engine: &Engine<Self::Fold>);
    /// What was emitted is durable: told once, whatever it takes to say it.
    fn settled(&self, shared: &Shared, emissions: &[Emission<<Self::Fold as Fold>::Output>]);
    /// Adds to what `status` shows.
    fn observe(&self, engine: &Engine<Self::Fold>) -> Json;
}

/// What was said of something, in short.
#[derive(Debug)]
pub struct Keep {
    /// Of what.
    pub key: Vec<u8>,
    /// Enough to say it again, and to take it back.
    pub said: Vec<u8>,
    /// It holds; else it was taken back.
    pub holds: bool,
}

/// It can't be looked at now.
#[derive(Debug, thiserror::Error)]
pub enum NotMended {
    /// The broker does not answer.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// What follows can't be written.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// What follows from a look at what was said before.
#[derive(Debug, Default)]
pub struct Mended {
    /// To be said.
    pub outgoing: Vec<Outgoing>,
    /// From now on.
    pub generation: u64,
}

/// What a changed definition asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The fold is made anew from the stream.
    Rebuild,
    /// And what it does not say again is taken back.
    Recompute,
    /// Nothing goes on before a person has decided: why.
    Wait(String),
}
