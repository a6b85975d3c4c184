//! One row of a kind's table.

/// An event as it is found and what is to be made of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventSpec {
    /// Standard name. Rows may share one: fields that are not in all of them
    /// stand in events, and rules can't ask for them.
    pub name: &'static str,
    /// Solidity declaration, its parameters under their standard names.
    pub declaration: &'static str,
    /// Indexed addresses that are zero in this event, and left out of it. Of
    /// rows with one declaration, those with such a condition stand first.
    pub zero: &'static [&'static str],
    /// Bools that are given on as 0 or 1.
    pub as_numbers: &'static [&'static str],
    /// Lists that must be of one length.
    pub paired: &'static [&'static str],
}

/// A row without conditions.
pub(super) const fn event(name: &'static str, declaration: &'static str) -> EventSpec {
    EventSpec { name, declaration, zero: &[], as_numbers: &[], paired: &[] }
}

impl EventSpec {
    /// Only where these indexed addresses are zero.
    pub const fn zero(self, zero: &'static [&'static str]) -> Self {
        Self { zero, ..self }
    }

    /// These bools become 0 or 1.
    pub const fn as_numbers(self, as_numbers: &'static [&'static str]) -> Self {
        Self { as_numbers, ..self }
    }

    /// These lists are of one length, or the log is undecodable.
    pub const fn paired(self, paired: &'static [&'static str]) -> Self {
        Self { paired, ..self }
    }
}
