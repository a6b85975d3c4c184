//! The same as pictures.

use std::{fs, ops::Range, path::Path};

use plotters::{coord::Shift, prelude::*};

use super::{
    Failure, Outcome,
    latency::Latency,
    results::Part,
    soak::{Sample, Soak},
};

const SIZE: (u32, u32) = (900, 420);
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws one picture into a file of a folder.
fn draw(
    folder: &Path,
    name: &str,
    with: impl FnOnce(&Area<'_>) -> Result<(), Failure>,
) -> Outcome<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        with(&area)?;
        area.present()?;
    }
    fs::create_dir_all(folder)?;
    let path = folder.join(name);
    fs::write(&path, svg)?;
    eprintln!("{}", path.display());
    Ok(())
}

/// What share of its limit each part reaches.
pub fn ratios(folder: &Path, parts: &[Part]) -> Outcome<()> {
    draw(folder, "ratios.svg", |area| {
        let rows = parts.len().max(1);
        let name = |row: usize| parts.get(rows.wrapping_sub(row + 1)).map_or("", |it| &it.what);
        let mut chart = ChartBuilder::on(area)
            .caption("What share of its limit each part reaches", ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(34)
            .y_label_area_size(230)
            .build_cartesian_2d(0.0..1.0, (0..rows - 1).into_segmented())?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("measured / limit")
            .y_label_formatter(&|row| match row {
                SegmentValue::CenterOf(row) => name(*row).to_owned(),
                _ => String::new(),
            })
            .draw()?;
        chart.draw_series(parts.iter().rev().enumerate().map(|(row, part)| {
            let corners = [
                (0.0, SegmentValue::Exact(row)),
                (part.ratio().min(1.0), SegmentValue::Exact(row + 1)),
            ];
            let mut bar = Rectangle::new(corners, Palette99::pick(0).filled());
            bar.set_margin(6, 6, 0, 0);
            bar
        }))?;
        Ok(())
    })
}

/// Which share of unlocks took no longer than so long, by the rate of events.
pub fn latencies(folder: &Path, latencies: &[Latency]) -> Outcome<()> {
    let most = latencies.iter().map(|it| it.at(1.0)).fold(1.0, f64::max);
    let lines: Vec<Line> = latencies
        .iter()
        .map(|it| {
            let count = it.took_ms.len().max(1) as f64;
            let share = |(index, ms): (usize, &f64)| (*ms, (index + 1) as f64 / count * 100.0);
            let label = format!("{} events/s", it.rate);
            Line { label, points: it.took_ms.iter().enumerate().map(share).collect() }
        })
        .collect();
    let caption = "From a block to the broadcast of the unlock that it earns";
    let axes = Axes { caption, x: ("ms", 0.0..most * 1.05), y: ("% of unlocks", 0.0..101.0) };
    draw(folder, "latency.svg", |area| axes.draw(area, &lines))
}

/// Memory over the time of a soak.
pub fn soak(folder: &Path, soak: &Soak) -> Outcome<()> {
    let line = |label: &str, of: fn(&Sample) -> f64| Line {
        label: label.to_owned(),
        points: soak.samples.iter().map(|it| (it.minutes, of(it))).collect(),
    };
    let lines = [
        line("meritd, memory", |it| it.rss[0]),
        line("broker, memory", |it| it.rss[1]),
        line("store on disk", |it| it.disk[0]),
        line("streams on disk", |it| it.disk[1]),
    ];
    let points = || lines.iter().flat_map(|line| &line.points);
    let (x, y) = points().fold((0.1, 1.0), |(x, y), point| (point.0.max(x), point.1.max(y)));
    let caption = "Memory and files at a hundred times the pace of mainnet";
    let axes = Axes { caption, x: ("minutes", 0.0..x), y: ("MiB", 0.0..y * 1.05) };
    draw(folder, "soak.svg", |area| axes.draw(area, &lines))
}

struct Line {
    label: String,
    points: Vec<(f64, f64)>,
}

struct Axes {
    caption: &'static str,
    x: (&'static str, Range<f64>),
    y: (&'static str, Range<f64>),
}

impl Axes {
    fn draw(self, area: &Area<'_>, lines: &[Line]) -> Result<(), Failure> {
        let mut chart = ChartBuilder::on(area)
            .caption(self.caption, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(self.x.1, self.y.1)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .draw()?;
        for (index, Line { label, points }) in lines.iter().enumerate() {
            let style = Palette99::pick(index).stroke_width(2);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(label)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        Ok(())
    }
}
