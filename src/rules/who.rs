//! A user while something happens: looked up once, written down once.

use std::borrow::Cow;

use alloy::primitives::Address;

use super::{
    memory::{self, Counted, Kept, Key, State, View},
    records::Times,
    user::User,
};

/// A working copy of what is known of a user.
pub(super) struct Who {
    pub(super) address: Address,
    user: User,
    is_changed: bool,
    /// The present event's number among the user's logs, once anything names it.
    number: Option<u32>,
    /// Something stopped naming a log.
    has_unnamed: bool,
}

impl Who {
    pub(super) fn of(state: &State, address: Address) -> Self {
        let user = memory::user(state, address);
        Self { address, user, is_changed: false, number: None, has_unnamed: false }
    }

    pub(super) fn user(&self) -> &User {
        &self.user
    }

    /// What is known, to be changed.
    pub(super) fn user_mut(&mut self) -> &mut User {
        self.is_changed = true;
        &mut self.user
    }

    pub(super) fn view<'s>(&'s self, state: &'s State, now: u64) -> View<'s> {
        View { state, address: self.address, user: Cow::Borrowed(&self.user), now }
    }

    /// The number that the present event has or would get.
    pub(super) fn next_number(&self) -> u32 {
        self.number.unwrap_or_else(|| self.user.next_number())
    }

    /// The present event's number among the user's logs.
    pub(super) fn numbered(&mut self, state: &mut State, log: &Counted) -> u32 {
        match self.number {
            Some(number) => number,
            None => {
                let number = self.add(state, log);
                *self.number.insert(number)
            }
        }
    }

    fn add(&mut self, state: &mut State, log: &Counted) -> u32 {
        let number = self.user_mut().next_log();
        state.set(Key::Log(self.address, number), Some(Kept::Log(log.clone())));
        number
    }

    /// Something stopped naming a log.
    pub(super) fn unnamed(&mut self) {
        self.has_unnamed = true;
    }

    /// Has an achievement looked at again at a time, or at none.
    pub(super) fn wait(&mut self, state: &mut State, achievement: usize, until: Option<u64>) {
        let waits = self.user.waits(achievement);
        if waits == until {
            return;
        }
        self.user_mut().set_waits(achievement, until);
        let key = |time| Key::Due(time, self.address, memory::place(achievement));
        if let Some(time) = waits {
            state.set(key(time), None);
        }
        if let Some(time) = until {
            memory::write(state, key(time), &());
        }
    }

    /// Notes that an achievement was requested, by the present event or, where
    /// only time went by, by another log.
    pub(super) fn request(&mut self, state: &mut State, achievement: usize, by: By<'_>) {
        let number = match by {
            By::Present(log) => self.numbered(state, log),
            By::Other(log) => self.add(state, log),
        };
        self.set_requested(state, achievement, Some(number));
    }

    /// Notes that an achievement was lost.
    pub(super) fn lose(&mut self, state: &mut State, achievement: usize) {
        self.set_requested(state, achievement, None);
    }

    fn set_requested(&mut self, state: &mut State, achievement: usize, log: Option<u32>) {
        let before = self.user.requested(achievement);
        self.user_mut().set_requested(achievement, log);
        if let Some(before) = before.filter(|before| !self.user.needs(*before)) {
            state.set(Key::Log(self.address, before), None);
        }
    }

    /// Notes that an achievement was earned that can be earned again in the next
    /// period.
    pub(super) fn earned(&mut self, achievement: usize, period: u64) {
        let count = self.user.times(achievement).count + 1;
        self.user_mut().set_times(achievement, Times { count, period });
    }

    /// Writes down what changed.
    pub(super) fn finish(mut self, state: &mut State) {
        if self.has_unnamed {
            for gone in self.user_mut().take_unnamed() {
                state.set(Key::Log(self.address, gone), None);
            }
        }
        if self.is_changed {
            state.set(Key::User(self.address), Some(Kept::User(self.user.into_lists())));
        }
    }
}

/// By what something was requested.
pub(super) enum By<'l> {
    /// The event that is counted.
    Present(&'l Counted),
    /// A log that counted before.
    Other(&'l Counted),
}
