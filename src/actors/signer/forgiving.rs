//! Unlocks that a contract had refused for good, tried again because a person
//! did something about it.

use actix::Message;
use tokio::sync::oneshot;

use super::{SignerActor, Trouble, books::Books, unix_ms};
use crate::{domain::UnlockId, signing::ledger::Changes, supervisor::Receives};

/// Asks for another attempt at a rejected unlock.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retry {
    /// Which.
    pub id: UnlockId,
    /// Hears whether there will be one, once that is written down.
    pub reply: oneshot::Sender<Result<(), NotRetried>>,
}

/// Why there is no other attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRetried {
    /// It was not given up, or is not any more.
    #[error("unlock {0} is not rejected: it waits, is under way, has landed, or is not wanted")]
    NotRejected(UnlockId),
    /// The signer never heard of it.
    #[error("the signer knows no unlock {0}")]
    Unknown(UnlockId),
}

/// Requests that wait: one is a person's, or a script's over some letters.
const WAITING_MAX: usize = 256;

impl SignerActor {
    pub(super) async fn forgive(&mut self, books: &mut Books) -> Result<(), Trouble> {
        while let Some(Retry { id, reply }) = self.retries.pop_front() {
            self.recall(books, id, &Changes::default()).await?;
            let answer = if books.ledger.item(id).is_none() {
                Err(NotRetried::Unknown(id))
            } else {
                let (forgiven, changes) = books.ledger.retry(id, unix_ms())?;
                self.commit(books, changes, Vec::new()).await?;
                if forgiven { Ok(()) } else { Err(NotRetried::NotRejected(id)) }
            };
            // Who asked may have gone.
            let _ = reply.send(answer);
        }
        Ok(())
    }
}

impl Receives<Retry> for SignerActor {
    fn receive(&mut self, retry: Retry) {
        // Dropped, its sender hears that there is no answer.
        if self.retries.len() < WAITING_MAX {
            self.retries.push_back(retry);
        }
    }
}
