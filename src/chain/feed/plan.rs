//! Whom to read for next, how wide, and who makes room.

use std::time::Duration;

use super::{AHEAD_PER_CALL, Feed, FeedCall, MemberId, Range, RangeId, Stage, member::Member};

/// The least that is set aside for a range, bytes.
const RESERVED_MIN: usize = 16 << 10;
/// A member may join ranges when it has so many times more of them ahead than
/// it would be given for itself.
const JOINS: usize = 4;
/// The share of what may be held with which nothing more is read for a member
/// in advance.
const LEADS_BELOW: usize = 8;
/// The share with which it does not even join: it has enough to do, and the
/// others shall not wait until it has room.
const JOINS_BELOW: usize = 2;

/// So many of its ranges a member may be ahead of another and wait for it.
const CATCHES_UP: u64 = 16;

/// A range that could be read.
struct Candidate {
    from: u64,
    to: u64,
    members: Vec<MemberId>,
    bytes: usize,
}

impl<T> Feed<T> {
    /// The next range to read, if one is to be read now. To be asked until
    /// there is none, whenever anything changed.
    pub fn next_call(&mut self, now: Duration) -> Option<FeedCall> {
        self.sweep();
        if self.called() >= self.limits.calls {
            return None;
        }
        let id = match self.due(now) {
            Some(id) => id,
            None => self.plan(now)?,
        };
        let range = self.ranges.get_mut(&id)?;
        range.stage = Stage::Called;
        let (from, to) = (range.from, range.to);
        let members = &self.members;
        let first_of = |id_of_member: &MemberId| {
            let segments = &members.get(id_of_member.0)?.segments;
            let mine = segments.iter().find(|segment| segment.comes_with(id))?;
            Some((*id_of_member, mine.from))
        };
        let members = range.members.iter().filter_map(first_of).collect();
        Some(FeedCall { id, from, to, members })
    }

    /// When there may be something to read though nothing else happens.
    #[must_use]
    pub fn wakes_at(&self, now: Duration) -> Option<Duration> {
        let due = self.ranges.values().filter_map(|range| match range.stage {
            Stage::Due(at) => Some(at),
            Stage::Called => None,
        });
        let starving = self.members.iter().filter(|member| member.starves() && member.wants());
        let fed = starving.filter_map(|member| member.waiting).map(|s| s + self.limits.patience);
        due.chain(fed).filter(|at| *at > now).min()
    }

    /// Drops ranges that are for nobody any more.
    fn sweep(&mut self) {
        let members = &self.members;
        for (id, range) in &mut self.ranges {
            range.members.retain(|m| members.get(m.0).is_some_and(|member| member.expects(*id)));
        }
        // One that is being read keeps its place until it is answered.
        self.ranges
            .retain(|_, range| matches!(range.stage, Stage::Called) || !range.members.is_empty());
    }

    fn due(&self, now: Duration) -> Option<RangeId> {
        let due = |range: &Range| matches!(range.stage, Stage::Due(at) if at <= now);
        self.ranges.iter().find(|(_, range)| due(range)).map(|(id, _)| *id)
    }

    fn plan(&mut self, now: Duration) -> Option<RangeId> {
        let leader = self.leader(now)?;
        let member = self.members.get(leader.0)?;
        let starves = member.starves();
        let patient = member.waiting.is_none_or(|since| now < since + self.limits.patience);
        let candidate = self.candidate(leader)?;
        // What is read in advance leaves room for those who have nothing.
        let most = self.limits.held_bytes_max;
        let most = if starves { most } else { most / 8 * 7 };
        let fits =
            |feed: &Self| feed.held_bytes() + feed.reserved_bytes() + candidate.bytes <= most;
        if !fits(self) {
            if !starves {
                return None;
            }
            if !patient {
                while !fits(self) && self.make_room(leader) {}
                self.sweep();
            }
            // The only one that is read may always be.
            if !fits(self) && self.called() > 0 {
                return None;
            }
        }
        let Candidate { from, to, members, bytes } = candidate;
        let id = self.begin_range();
        for id_of_member in &members {
            if let Some(member) = self.members.get_mut(id_of_member.0) {
                member.expect(to, id);
            }
        }
        let stage = Stage::Due(now);
        let range = Range { from, to, members, reserved: bytes, attempts: 0, stage };
        self.ranges.insert(id, range);
        Some(id)
    }

    /// Whom to read for: who has nothing first, then who has least ahead. One
    /// with another not far behind it lets that one catch up, so that they go
    /// on together: whoever asks first would be ahead for ever. It does not
    /// wait for one that can't go on, nor for longer than its patience.
    fn leader(&self, now: Duration) -> Option<MemberId> {
        let ahead_max = self.limits.calls * AHEAD_PER_CALL;
        let able = self.members.iter().enumerate().filter(|(_, member)| {
            member.wants()
                && member.segments.len() < ahead_max
                && member.held_bytes <= self.limits.held_bytes_max / LEADS_BELOW
        });
        let mut able: Vec<_> =
            able.map(|(index, member)| (member.planned(), index, member)).collect();
        able.sort_unstable_by_key(|(planned, index, _)| (*planned, *index));
        let mut best = None;
        // The place before, and the last that is behind it.
        let (mut place, mut behind) = (None, None);
        for (planned, index, member) in able {
            if place != Some(planned) {
                (behind, place) = (place, Some(planned));
            }
            let reach = self.widest(member).saturating_mul(CATCHES_UP);
            let led = behind.is_some_and(|behind| planned - behind <= reach);
            let waited = member.starves()
                && member.waiting.is_some_and(|since| now >= since + self.limits.patience);
            if led && !waited {
                continue;
            }
            let rank = (!member.starves(), member.segments.len(), planned);
            if best.is_none_or(|(before, _)| rank < before) {
                best = Some((rank, MemberId(index)));
            }
        }
        best.map(|(_, id)| id)
    }

    /// How wide a range may be for a member.
    fn widest(&self, member: &Member<T>) -> u64 {
        let most = self.limits.range_blocks_max.min(self.served_blocks).max(1);
        most.min(member.blocks_tried)
    }

    /// The range for this one and all that lie in it or shortly behind.
    fn candidate(&self, leader: MemberId) -> Option<Candidate> {
        let ahead_max = self.limits.calls * AHEAD_PER_CALL * JOINS;
        let leading = self.members.get(leader.0)?;
        let place = leading.planned();
        let near = self.widest(leading);
        let enough = self.limits.held_bytes_max / JOINS_BELOW;
        let joins = |index: usize, member: &Member<T>| {
            index == leader.0 || (member.segments.len() < ahead_max && member.held_bytes < enough)
        };
        let mut joining: Vec<(u64, MemberId)> = self
            .members
            .iter()
            .enumerate()
            .filter(|(index, member)| member.wants() && joins(*index, member))
            .map(|(index, member)| (member.planned(), MemberId(index)))
            .filter(|(planned, _)| (place.saturating_sub(near)..place + near).contains(planned))
            .collect();
        joining.sort_unstable();
        let from = joining.first()?.0;
        joining.truncate(self.members_max.max(1));
        let of = |id: &MemberId| self.members.get(id.0);
        let density: f64 = joining.iter().filter_map(|(_, id)| of(id)?.density).sum();
        let widest = joining.iter().filter_map(|(_, id)| Some(self.widest(of(id)?))).min()?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate; a float that is too large or no number saturates"
        )]
        let dense = (self.limits.range_bytes as f64 / density.max(f64::MIN_POSITIVE)) as u64;
        let width = widest.min(dense).max(1);
        let mut to = from.saturating_add(width - 1);
        for (planned, id) in &joining {
            if *planned <= to {
                to = to.min(of(id)?.limit?);
            }
        }
        joining.retain(|(planned, _)| *planned <= to);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let bytes = (density * (to - from + 1) as f64) as usize;
        let members = joining.into_iter().map(|(_, id)| id).collect();
        Some(Candidate { from, to, members, bytes: bytes.max(RESERVED_MIN) })
    }

    /// Takes from another what it can best do without: who does not even wait
    /// first, and of each its last. Says whether there was anything.
    fn make_room(&mut self, starving: MemberId) -> bool {
        let others = self.members.iter_mut().enumerate();
        let victim = others
            .filter(|(index, member)| *index != starving.0 && member.held_bytes > 0)
            .max_by_key(|(_, member)| (member.waiting.is_none(), member.held_bytes));
        let Some((_, victim)) = victim else { return false };
        while !victim.segments.is_empty() && victim.drop_last() == 0 {}
        if victim.segments.is_empty() && victim.waiting.is_none() {
            victim.active = false;
        }
        true
    }

    /// More came than was expected: those who hold most lose their last, but
    /// nobody the first.
    pub(super) fn shrink(&mut self) {
        while self.held_bytes() > self.limits.held_bytes_max {
            let spare = self.members.iter_mut().filter(|member| {
                let first = member.segments.front().map_or(0, |first| first.bytes());
                member.held_bytes > first
            });
            let Some(member) = spare.max_by_key(|member| member.held_bytes) else { return };
            while member.segments.len() > 1 && member.drop_last() == 0 {}
        }
    }
}
