//! Days, weeks and months of the calendar, in UTC.

use time::{Date, Month, OffsetDateTime};

/// A kind of part of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Period {
    Day,
    /// From Monday on.
    Week,
    Month,
}

impl Period {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];
    const DAY_S: u64 = 86_400;
    /// The epoch was a Thursday.
    const DAYS_BEFORE_EPOCH: u64 = 3;

    /// Its name in rule files and in sentences.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.word() == word)
    }

    /// The number of the period that a time is in, in seconds since the Unix epoch:
    /// the next one has the next number. `None` beyond the calendar.
    pub(super) fn number(self, time: u64) -> Option<u64> {
        let days = time / Self::DAY_S;
        match self {
            Self::Day => Some(days),
            Self::Week => Some((days + Self::DAYS_BEFORE_EPOCH) / 7),
            Self::Month => {
                let at = OffsetDateTime::from_unix_timestamp(i64::try_from(time).ok()?).ok()?;
                let months = at.year() * 12 + i32::from(u8::from(at.month())) - 1;
                u64::try_from(months).ok()
            }
        }
    }

    /// When the period after that of a time begins, in seconds since the Unix epoch.
    /// `None` beyond the calendar.
    pub(super) fn next(self, time: u64) -> Option<u64> {
        let next = self.number(time)?.checked_add(1)?;
        match self {
            Self::Day => next.checked_mul(Self::DAY_S),
            Self::Week => {
                next.checked_mul(7)?.checked_sub(Self::DAYS_BEFORE_EPOCH)?.checked_mul(Self::DAY_S)
            }
            Self::Month => {
                let month = Month::try_from(u8::try_from(next % 12 + 1).ok()?).ok()?;
                let date =
                    Date::from_calendar_date(i32::try_from(next / 12).ok()?, month, 1).ok()?;
                u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first_in_utc() {
        let number = |period: Period, time| period.number(time).unwrap();
        // 2024-12-29 was a Sunday.
        let sunday = 1_735_516_799;
        assert_eq!(number(Period::Week, sunday) + 1, number(Period::Week, sunday + 1));
        assert_eq!(
            number(Period::Week, sunday + 1),
            number(Period::Week, sunday + 7 * Period::DAY_S)
        );
        // 2024-12-31T23:59:59Z.
        let new_year = 1_735_689_599;
        assert_eq!(number(Period::Month, new_year) + 1, number(Period::Month, new_year + 1));
        assert_eq!(number(Period::Day, new_year) + 1, number(Period::Day, new_year + 1));
        assert_eq!(Period::Month.number(u64::MAX), None);
        assert_eq!(Period::Month.next(u64::MAX), None);
        assert_eq!(Period::Day.next(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn the_next_period_begins_where_the_present_one_ends(
            time in 0..4_000_000_000_u64,
            period in prop::sample::select(Period::ALL.as_slice()),
        ) {
            let (now, next) = (period.number(time).unwrap(), period.next(time).unwrap());
            prop_assert!(next > time);
            prop_assert_eq!(period.number(next), Some(now + 1));
            prop_assert_eq!(period.number(next - 1), Some(now));
        }
    }
}
