//! How often something happened that is the same for everybody, and to whom that
//! matters.

use alloy::primitives::Address;

use super::{
    memory::{Key, State, place, read, write},
    meter::Window,
};

/// How often something happened in all.
pub(super) fn in_all(state: &State, tally: usize) -> u64 {
    read(state, &Key::Tally(place(tally))).unwrap_or(0)
}

/// How often something happened within a window of a tally, at a time.
pub(super) fn within(state: &State, of: usize, window: &Window, now: u64) -> u64 {
    let all = in_all(state, of);
    let Window::Last { seconds } = window else { return all };
    let before = tallied_at(state, of).find(|(time, _)| time + seconds > now);
    before.map_or(0, |(_, before)| all.saturating_sub(before))
}

/// When the oldest within a rolling window is forgotten.
pub(super) fn forgets(state: &State, of: usize, window: &Window, now: u64) -> Option<u64> {
    let Window::Last { seconds } = window else { return None };
    let mut gone = tallied_at(state, of).map(|(time, _)| time + seconds);
    gone.find(|time| *time > now)
}

/// The times in a rolling window, with how often it had happened before.
fn tallied_at(state: &State, of: usize) -> impl Iterator<Item = (u64, u64)> {
    let place = place(of);
    let all = Key::TallyAt(place, 0)..=Key::TallyAt(place, u64::MAX);
    state.listed(all).filter_map(|(key, value)| match key {
        Key::TallyAt(_, time) => Some((*time, postcard::from_bytes(value.bytes()?).ok()?)),
        _ => None,
    })
}

/// Something happened that is the same for everybody.
pub(super) fn add(state: &mut State, of: usize, window: &Window, time: u64) {
    match window {
        Window::Between { from, to } => {
            let is_within = from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to);
            if !is_within {
                return;
            }
        }
        Window::Last { seconds } => {
            let at = Key::TallyAt(place(of), time);
            if state.value(&at).is_none() {
                let before = in_all(state, of);
                write(state, at, &before);
            }
            let gone = tallied_at(state, of).map(|(at, _)| at);
            let gone: Vec<u64> = gone.take_while(|at| at + seconds <= time).collect();
            for at in gone {
                state.set(Key::TallyAt(place(of), at), None);
            }
        }
        Window::Always | Window::Each(_) | Window::Within { .. } => {}
    }
    let count = in_all(state, of).saturating_add(1);
    write(state, Key::Tally(place(of)), &count);
}

/// The users of whom a meter has counted something, in order.
pub(super) fn members(state: &State, meter: usize) -> Vec<Address> {
    let place = place(meter);
    let all = Key::Member(place, Address::ZERO)..=Key::Member(place, Address::repeat_byte(0xff));
    let members = state.listed(all).filter_map(|(key, _)| match key {
        Key::Member(_, user) => Some(*user),
        _ => None,
    });
    members.collect()
}
