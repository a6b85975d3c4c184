//! Which ranges of final history to read now, and for whom.
//!
//! Several contracts of a chain share calls: a range is read for all whose
//! place lies in it or shortly behind it, and each is handed its part, in
//! block order and without a gap. Who is far behind gets ranges of its own
//! until it has caught up. Some ranges are read at once, and what was read and
//! not yet taken is bounded: a contract that does not take its parts loses
//! them when another one would starve, and asks again.
//!
//! Nothing in here reads anything or knows the time. What the parts are is not
//! known either, only how large they are.

mod member;
mod plan;
pub mod share;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use member::Member;

/// One of those who are fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(usize);

/// One range that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(u64);

/// Bounds of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedLimits {
    /// Ranges that are read at once.
    pub calls: usize,
    /// What may have been read and not been taken, and be on its way, bytes.
    pub held_bytes_max: usize,
    /// What one range should come to, bytes.
    pub range_bytes: usize,
    /// Most blocks of a range.
    pub range_blocks_max: u64,
    /// For how long a member that has nothing waits for others to take what
    /// they have, before they lose it.
    pub patience: Duration,
}

/// A range that is to be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedCall {
    /// Names it in [`Feed::answered`] and [`Feed::failed`].
    pub id: RangeId,
    /// First block.
    pub from: u64,
    /// Last block.
    pub to: u64,
    /// Who gets a part of it, and the first block of that part.
    pub members: Vec<(MemberId, u64)>,
}

/// A member's part of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T> {
    /// First block.
    pub from: u64,
    /// Last block.
    pub through: u64,
    /// What was read of these blocks.
    pub value: T,
}

/// Why a range was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFailure {
    /// The endpoint takes fewer addresses in one call.
    Crowded,
    /// Anything else: the same is tried again later.
    Other,
}

/// See the module.
#[derive(Debug)]
pub struct Feed<T> {
    limits: FeedLimits,
    members: Vec<Member<T>>,
    ranges: BTreeMap<RangeId, Range>,
    ranges_begun: u64,
    /// What endpoints serve at once, blocks.
    served_blocks: u64,
    /// Most members of one call.
    members_max: usize,
}

/// A range that is read, or will be once more.
#[derive(Debug)]
struct Range {
    from: u64,
    to: u64,
    members: Vec<MemberId>,
    /// What is expected of it, bytes.
    reserved: usize,
    attempts: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// It is being read.
    Called,
    /// It is to be read, not earlier than then.
    Due(Duration),
}

/// Pauses between attempts at one range double up to the second.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// Ranges that are planned ahead for a member, for each that is read at once.
const AHEAD_PER_CALL: usize = 4;

impl<T> Feed<T> {
    /// A feed of nobody.
    #[must_use]
    pub fn new(limits: FeedLimits) -> Self {
        Self {
            limits,
            members: Vec::new(),
            ranges: BTreeMap::new(),
            ranges_begun: 0,
            served_blocks: u64::MAX,
            members_max: usize::MAX,
        }
    }

    /// Another one to be fed. Nothing is read for it before it asks.
    pub fn join(&mut self) -> MemberId {
        self.members.push(Member::new());
        MemberId(self.members.len() - 1)
    }

    /// Blocks up to `limit` are final, and confirmed as the member wants it.
    pub fn reach(&mut self, member: MemberId, limit: u64) {
        if let Some(member) = self.members.get_mut(member.0) {
            member.limit = Some(limit);
        }
    }

    /// How many blocks endpoints serve at once.
    pub fn serves(&mut self, blocks: u64) {
        self.served_blocks = blocks.max(1);
    }

    /// A member has dealt with all before `from` and waits for what follows.
    /// Asking from another place than where its last part ended begins anew
    /// there.
    pub fn ask(&mut self, member: MemberId, from: u64, limit: u64, now: Duration) {
        let Some(member) = self.members.get_mut(member.0) else { return };
        if member.next != from {
            member.begin_at(from);
        }
        member.limit = Some(limit);
        member.active = true;
        member.waiting.get_or_insert(now);
    }

    /// A member no longer waits.
    pub fn give_up(&mut self, member: MemberId) {
        if let Some(member) = self.members.get_mut(member.0) {
            member.waiting = None;
        }
    }

    /// Forgets what was read and is being read for a member, and reads nothing
    /// more for it before it asks again.
    pub fn leave(&mut self, member: MemberId) {
        if let Some(member) = self.members.get_mut(member.0) {
            member.begin_at(member.next);
            (member.waiting, member.active) = (None, false);
        }
    }

    /// Whether a member waits.
    #[must_use]
    pub fn waits(&self, member: MemberId) -> bool {
        self.members.get(member.0).is_some_and(|member| member.waiting.is_some())
    }

    /// The next part of a member that waits, if it is there.
    pub fn take(&mut self, member: MemberId) -> Option<Part<T>> {
        self.members.get_mut(member.0)?.take()
    }

    /// A range was read up to and with `through`, which lies in it. `parts`
    /// are those of the call's members whose part begins at or before it, with
    /// their sizes in bytes. The rest of the range is asked for again.
    pub fn answered(&mut self, id: RangeId, through: u64, parts: Vec<(MemberId, usize, T)>) {
        let Some(range) = self.ranges.remove(&id) else { return };
        let through = through.clamp(range.from, range.to);
        let whole = through == range.to;
        let rest = (!whole).then(|| self.begin_range());
        let mut parts: BTreeMap<_, _> =
            parts.into_iter().map(|(member, bytes, value)| (member, (bytes, value))).collect();
        for id_of_member in &range.members {
            let part = parts.remove(id_of_member);
            if let Some(member) = self.members.get_mut(id_of_member.0) {
                member.answered(id, through, part, rest);
                if whole {
                    let blocks = through - range.from + 1;
                    member.blocks_tried = member.blocks_tried.max(blocks.saturating_mul(4));
                }
            }
        }
        if let Some(rest) = rest {
            let (all, left) = (range.to - range.from + 1, range.to - through);
            let reserved = u128::try_from(range.reserved).unwrap_or(0) * u128::from(left);
            let reserved = usize::try_from(reserved / u128::from(all)).unwrap_or(0);
            let stage = Stage::Due(Duration::ZERO);
            let range = Range { from: through + 1, reserved, attempts: 0, stage, ..range };
            self.ranges.insert(rest, range);
        }
        self.shrink();
    }

    /// A range was not read. It is tried again after a pause, of which
    /// `jitter` (0 to 1) takes up to a half. Gives those who wait for just
    /// this range: they are to be told, and wait no longer.
    pub fn failed(
        &mut self,
        id: RangeId,
        failure: FeedFailure,
        now: Duration,
        jitter: f64,
    ) -> Vec<MemberId> {
        let spare = self.begin_range();
        let Some(range) = self.ranges.get_mut(&id) else { return Vec::new() };
        let count = range.members.len();
        if failure == FeedFailure::Crowded && count > 1 {
            // Known for good: an endpoint's cap does not regrow.
            let kept = count.div_ceil(2);
            self.members_max = self.members_max.min(kept);
            let others = range.members.split_off(kept);
            range.stage = Stage::Due(now);
            let (from, to, reserved) = (range.from, range.to, range.reserved / 2);
            range.reserved -= reserved;
            for other in &others {
                if let Some(member) = self.members.get_mut(other.0) {
                    member.comes_with(id, spare);
                }
            }
            let stage = Stage::Due(now);
            let half = Range { from, to, members: others, reserved, attempts: 0, stage };
            self.ranges.insert(spare, half);
            return Vec::new();
        }
        let (first, longest) = RETRY_PAUSES;
        let pause = first.saturating_mul(1 << range.attempts.min(10)).min(longest);
        let pause = pause.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
        range.attempts = range.attempts.saturating_add(1);
        range.stage = Stage::Due(now + pause);
        let mut told = Vec::new();
        for id_of_member in &range.members {
            let Some(member) = self.members.get_mut(id_of_member.0) else { continue };
            if member.waiting.is_some() && member.first_comes_with(id) {
                member.waiting = None;
                told.push(*id_of_member);
            }
        }
        told
    }

    /// Forgets all that was read and is being read: it may be of a branch that
    /// is no more.
    pub fn forget(&mut self) {
        self.ranges.clear();
        for member in &mut self.members {
            member.begin_at(member.next);
        }
    }

    /// What was read and not yet taken, bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.members.iter().map(|member| member.held_bytes).sum()
    }

    /// Ranges that are being read.
    #[must_use]
    pub fn called(&self) -> usize {
        self.ranges.values().filter(|range| matches!(range.stage, Stage::Called)).count()
    }

    fn begin_range(&mut self) -> RangeId {
        self.ranges_begun += 1;
        RangeId(self.ranges_begun)
    }

    fn reserved_bytes(&self) -> usize {
        self.ranges.values().map(|range| range.reserved).sum()
    }
}
