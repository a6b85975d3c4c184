//! How many have each achievement, over time.

use std::collections::BTreeMap;

use plotters::prelude::*;
use time::OffsetDateTime;

use super::trial::Trial;
use crate::domain::Name;

const SIZE: (u32, u32) = (960, 540);
/// Achievements of which lines are drawn: those that most have. More can't be told
/// apart.
const LINES: usize = 10;
/// Up to here times of day are told, too.
const SHORT_S: u64 = 4 * 86_400;

/// Draws it.
pub(super) fn svg(trial: &Trial) -> Result<String, String> {
    let mut lines: Vec<(&Name, Vec<(u64, i64)>)> = counts(trial).into_iter().collect();
    lines.sort_by_key(|(name, points)| {
        (std::cmp::Reverse(points.iter().map(|point| point.1).max()), (*name).clone())
    });
    lines.truncate(LINES);
    let mut svg = String::new();
    draw(trial, &lines, &mut svg).map_err(|error| error.to_string())?;
    Ok(svg)
}

/// By achievement, how many have it from each time on at which that changes.
fn counts(trial: &Trial) -> BTreeMap<&Name, Vec<(u64, i64)>> {
    let mut changes: BTreeMap<&Name, BTreeMap<u64, i64>> = BTreeMap::new();
    for unlock in trial.awards.all() {
        let of = changes.entry(&unlock.request.achievement).or_default();
        *of.entry(unlock.time).or_default() += if unlock.lapsed.is_some() { -1 } else { 1 };
    }
    let summed = |changes: BTreeMap<u64, i64>| {
        let mut held = 0;
        let add = |(time, change): (u64, i64)| {
            held += change;
            (time, held)
        };
        changes.into_iter().map(add).collect()
    };
    changes.into_iter().map(|(name, changes)| (name, summed(changes))).collect()
}

fn draw(
    trial: &Trial,
    lines: &[(&Name, Vec<(u64, i64)>)],
    svg: &mut String,
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'static> as DrawingBackend>::ErrorType>> {
    let times = || lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.0));
    let (from, to) = (times().min().unwrap_or(0), times().max().unwrap_or(0).max(trial.through));
    let most = lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.1)).max();
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let caption = format!("{}: who has what", trial.set.id());
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(from..to.max(from + 1), 0..most.unwrap_or(0).max(1) + 1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(6)
        .x_label_formatter(&|time| shown(*time, to - from))
        .y_desc("users")
        .draw()?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(steps(points, to), color.stroke_width(2)))?
            .label(name.as_str())
            .legend(move |(x, y)| {
                PathElement::new(vec![(x, y), (x + 16, y)], color.stroke_width(2))
            });
    }
    if !lines.is_empty() {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
    }
    area.present()
}

/// A line that stays where it is until it changes.
fn steps(points: &[(u64, i64)], to: u64) -> Vec<(u64, i64)> {
    let (mut line, mut held) = (Vec::new(), 0);
    for (time, now) in points {
        line.push((*time, held));
        line.push((*time, *now));
        held = *now;
    }
    line.push((to, held));
    line
}

/// A time, as exactly as so many seconds in all need it.
fn shown(time: u64, span_s: u64) -> String {
    let at = i64::try_from(time).ok().and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
    let Some(at) = at else { return String::new() };
    match span_s {
        0..SHORT_S => {
            format!("{} {:02}:{:02}:{:02}", at.date(), at.hour(), at.minute(), at.second())
        }
        _ => at.date().to_string(),
    }
}
