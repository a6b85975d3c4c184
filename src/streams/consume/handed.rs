//! What an inbox handed out lately.

use std::collections::VecDeque;

use async_nats::Subject;

use super::Witness;

/// Messages in the order of their sequences, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Handed(VecDeque<One>);

#[derive(Debug)]
struct One {
    witness: Witness,
    /// Where it is acknowledged; `None` when it is, or its consumer is gone.
    reply: Option<Subject>,
}

impl Handed {
    /// What was handed out before, as far as that is known.
    pub(super) fn before(witness: Option<Witness>) -> Self {
        Self(witness.map(|witness| One { witness, reply: None }).into_iter().collect())
    }

    /// Notes a message, which comes after all others.
    pub(super) fn note(&mut self, witness: Witness, reply: Option<Subject>) {
        self.0.push_back(One { witness, reply });
    }

    /// A message that is known was sent again: it is acknowledged elsewhere now.
    pub(super) fn again(&mut self, sequence: u64, reply: Option<Subject>) {
        let end = self.end(sequence);
        let known = end.checked_sub(1).and_then(|at| self.0.get_mut(at));
        if let Some(known) = known.filter(|known| known.witness.sequence == sequence) {
            known.reply = reply;
        }
    }

    /// Forgets all but so many.
    pub(super) fn keep(&mut self, most: usize) {
        self.0.drain(..self.0.len().saturating_sub(most));
    }

    /// The last message up to a sequence.
    pub(super) fn witness(&self, up_to: u64) -> Option<Witness> {
        Some(self.0.get(self.end(up_to).checked_sub(1)?)?.witness)
    }

    /// By which message all up to a sequence is acknowledged, and where; `None` if it is.
    pub(super) fn acknowledges(&self, up_to: u64) -> Option<(u64, Subject)> {
        let them = self.0.range(..self.end(up_to)).rev();
        let mut them = them.map(|one| Some((one.witness.sequence, one.reply.clone()?)));
        them.find_map(|one| one)
    }

    /// All up to a sequence is acknowledged.
    pub(super) fn acknowledged(&mut self, up_to: u64) {
        let end = self.end(up_to);
        self.0.range_mut(..end).for_each(|one| one.reply = None);
    }

    /// No consumer waits for acknowledgements of any of it.
    pub(super) fn orphaned(&mut self) {
        self.0.iter_mut().for_each(|one| one.reply = None);
    }

    /// The place behind the last message up to a sequence.
    fn end(&self, up_to: u64) -> usize {
        self.0.partition_point(|one| one.witness.sequence <= up_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(sequences: &[u64]) -> Handed {
        let mut handed = Handed::default();
        for sequence in sequences {
            let witness = Witness { sequence: *sequence, stored_at_ns: 0, checksum: None };
            handed.note(witness, Some(Subject::from(format!("ack.{sequence}"))));
        }
        handed
    }

    fn acknowledges(handed: &Handed, up_to: u64) -> Option<(u64, String)> {
        handed.acknowledges(up_to).map(|(sequence, reply)| (sequence, reply.to_string()))
    }

    #[test]
    fn all_up_to_a_message_is_acknowledged_by_the_last_of_it() {
        let mut handed = handed(&[2, 5, 9]);
        assert_eq!(acknowledges(&handed, 1), None);
        assert_eq!(acknowledges(&handed, 8), Some((5, "ack.5".to_owned())));
        handed.acknowledged(5);
        assert_eq!(acknowledges(&handed, 8), None, "it is known");
        assert_eq!(acknowledges(&handed, 9), Some((9, "ack.9".to_owned())));
        assert_eq!(handed.witness(8).map(|it| it.sequence), Some(5), "and still seen");
        assert_eq!(handed.witness(1), None);
    }

    #[test]
    fn what_is_sent_again_is_acknowledged_where_it_came_from_last() {
        let mut handed = handed(&[2, 5]);
        handed.again(2, Some(Subject::from("ack.2.again")));
        handed.again(3, Some(Subject::from("ack.3")));
        assert_eq!(acknowledges(&handed, 4), Some((2, "ack.2.again".to_owned())));
        handed.orphaned();
        assert_eq!(acknowledges(&handed, 9), None);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut handed = handed(&[2, 5, 9]);
        handed.keep(5);
        handed.keep(1);
        assert_eq!(handed.witness(8), None);
        assert_eq!(acknowledges(&handed, 9), Some((9, "ack.9".to_owned())));
    }
}
