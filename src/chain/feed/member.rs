//! What one member has been handed, holds and expects.

use std::{collections::VecDeque, time::Duration};

use super::{Part, RangeId};

/// One of those who are fed.
#[derive(Debug)]
pub(super) struct Member<T> {
    /// The first block that it was not handed.
    pub(super) next: u64,
    /// The last block that it may be handed.
    pub(super) limit: Option<u64>,
    /// Since when it waits.
    pub(super) waiting: Option<Duration>,
    /// It asked, and has not lost all that it had since.
    pub(super) active: bool,
    /// From `next` on without a gap.
    pub(super) segments: VecDeque<Segment<T>>,
    /// What it could take now or later.
    pub(super) held_bytes: usize,
    /// Bytes a block, smoothed; none before the first answer.
    pub(super) density: Option<f64>,
    /// How wide a range may be for what is known of its history.
    pub(super) blocks_tried: u64,
}

/// Blocks that are read for a member in one go.
#[derive(Debug)]
pub(super) struct Segment<T> {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) state: State<T>,
}

#[derive(Debug)]
pub(super) enum State<T> {
    /// A range brings it.
    Coming(RangeId),
    /// It was read.
    Here { bytes: usize, value: T },
}

/// Blocks of the first range of a history that nothing is known of.
const FIRST_BLOCKS: u64 = 256;
/// Weight of the newest range in the density.
const NEWEST: f64 = 0.5;

impl<T> Member<T> {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            limit: None,
            waiting: None,
            active: false,
            segments: VecDeque::new(),
            held_bytes: 0,
            density: None,
            blocks_tried: FIRST_BLOCKS,
        }
    }

    /// The first block that nothing brings.
    pub(super) fn planned(&self) -> u64 {
        self.segments.back().map_or(self.next, |last| last.to + 1)
    }

    /// Something can be planned for it.
    pub(super) fn wants(&self) -> bool {
        self.active && self.limit.is_some_and(|limit| self.planned() <= limit)
    }

    /// It waits, and nothing is on its way.
    pub(super) fn starves(&self) -> bool {
        self.waiting.is_some() && self.segments.is_empty()
    }

    pub(super) fn begin_at(&mut self, from: u64) {
        self.next = from;
        self.segments.clear();
        self.held_bytes = 0;
    }

    /// A range brings what follows, up to and with `to`.
    pub(super) fn expect(&mut self, to: u64, id: RangeId) {
        let from = self.planned();
        self.segments.push_back(Segment { from, to, state: State::Coming(id) });
    }

    pub(super) fn take(&mut self) -> Option<Part<T>> {
        self.waiting?;
        if !matches!(self.segments.front()?.state, State::Here { .. }) {
            return None;
        }
        let Segment { from, to, state } = self.segments.pop_front()?;
        let State::Here { bytes, value } = state else { return None };
        self.waiting = None;
        self.next = to + 1;
        self.held_bytes -= bytes;
        Some(Part { from, through: to, value })
    }

    /// Puts in place what range `id` brought, up to `through`; `rest` brings
    /// what it left.
    pub(super) fn answered(
        &mut self,
        id: RangeId,
        through: u64,
        part: Option<(usize, T)>,
        rest: Option<RangeId>,
    ) {
        let Some(at) = self.place_of(id) else { return };
        let Some(segment) = self.segments.get_mut(at) else { return };
        let (from, to) = (segment.from, segment.to);
        if let (true, Some(rest)) = (from > through, rest) {
            segment.state = State::Coming(rest);
            return;
        }
        let Some((bytes, value)) = part else {
            // It got nothing: what follows has nothing to follow on.
            while self.segments.len() > at {
                self.drop_last();
            }
            return;
        };
        segment.to = to.min(through);
        segment.state = State::Here { bytes, value };
        self.held_bytes += bytes;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seen = bytes as f64 / (segment.to - from + 1) as f64;
        let known = self.density.unwrap_or(seen);
        self.density = Some(known + NEWEST * (seen - known));
        if let (true, Some(rest)) = (through < to, rest) {
            let left = Segment { from: through + 1, to, state: State::Coming(rest) };
            self.segments.insert(at + 1, left);
        }
    }

    /// What was to come with one range comes with another.
    pub(super) fn comes_with(&mut self, before: RangeId, now: RangeId) {
        let at = self.place_of(before);
        if let Some(segment) = at.and_then(|at| self.segments.get_mut(at)) {
            segment.state = State::Coming(now);
        }
    }

    pub(super) fn expects(&self, id: RangeId) -> bool {
        self.place_of(id).is_some()
    }

    pub(super) fn first_comes_with(&self, id: RangeId) -> bool {
        self.place_of(id) == Some(0)
    }

    /// Loses its last segment. Gives the bytes that it held.
    pub(super) fn drop_last(&mut self) -> usize {
        match self.segments.pop_back() {
            Some(Segment { state: State::Here { bytes, .. }, .. }) => {
                self.held_bytes -= bytes;
                bytes
            }
            Some(_) | None => 0,
        }
    }

    fn place_of(&self, id: RangeId) -> Option<usize> {
        self.segments.iter().position(|segment| segment.comes_with(id))
    }
}

impl<T> Segment<T> {
    pub(super) fn comes_with(&self, id: RangeId) -> bool {
        matches!(self.state, State::Coming(range) if range == id)
    }

    pub(super) fn bytes(&self) -> usize {
        match self.state {
            State::Here { bytes, .. } => bytes,
            State::Coming(_) => 0,
        }
    }
}
