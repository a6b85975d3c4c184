//! Times and spans of time in rule files.

use time::{Date, Month, OffsetDateTime, Time, UtcOffset};
use toml::{
    de::DeValue,
    value::{Datetime, Offset},
};

use super::{
    document::{Errors, Node},
    error::Problem,
    limits,
};

/// A span like `"30d"`, in whole seconds.
pub(super) fn seconds(node: &Node<'_>, errors: &mut Errors<'_>) -> Option<u64> {
    let remedy = "write a span in quotes, like \"30d\", \"2w\" or \"36h\"";
    let text = node.text(errors, remedy)?;
    // Months and years have no length of their own.
    let has_unit = |unit: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphabetic());
        words.into_iter().any(|word| word == unit)
    };
    let vague = ["M", "month", "months", "y", "year", "years"].into_iter().any(has_unit);
    let span = humantime::parse_duration(text).ok().filter(|_| !vague);
    let Some(span) = span.filter(|span| span.subsec_nanos() == 0) else {
        let expected = "span of time in seconds, minutes, hours, days or weeks";
        errors.report(node, Problem::BadTime { text: text.to_owned(), expected }, remedy);
        return None;
    };
    let seconds = span.as_secs();
    if !(1..=limits::SPAN_SECONDS).contains(&seconds) {
        let (min, max) = ("1s".to_owned(), format!("{}d", limits::SPAN_SECONDS / 86_400));
        errors.report(
            node,
            Problem::OutOfRange { number: text.to_owned(), min, max },
            "choose a span within",
        );
        return None;
    }
    Some(seconds)
}

/// A date or a time, in seconds since the Unix epoch. A date is its beginning;
/// what has no offset is UTC.
pub(super) fn time(node: &Node<'_>, errors: &mut Errors<'_>) -> Option<u64> {
    let remedy = "write a date or a time without quotes, like 2026-01-01 or 2026-01-01T12:00:00Z";
    let DeValue::Datetime(given) = node.value else {
        return node.wrong_type(errors, "a date or a time", remedy);
    };
    let seconds = unix_seconds(given);
    if seconds.is_none() {
        let (text, expected) = (given.to_string(), "time since 1970-01-01");
        errors.report(node, Problem::BadTime { text, expected }, remedy);
    }
    seconds
}

fn unix_seconds(given: &Datetime) -> Option<u64> {
    let date = given.date?;
    let month = Month::try_from(date.month).ok()?;
    let date = Date::from_calendar_date(date.year.into(), month, date.day).ok()?;
    let time = match given.time {
        Some(time) => Time::from_hms(time.hour, time.minute, time.second.unwrap_or(0)).ok()?,
        None => Time::MIDNIGHT,
    };
    let offset = match given.offset {
        Some(Offset::Custom { minutes }) => {
            UtcOffset::from_whole_seconds(i32::from(minutes) * 60).ok()?
        }
        Some(Offset::Z) | None => UtcOffset::UTC,
    };
    u64::try_from(OffsetDateTime::new_in_offset(date, time, offset).unix_timestamp()).ok()
}
