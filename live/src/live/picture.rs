//! A picture of a run: how long appends took over time, with the phases marked.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::phases::{Phase, Run, Sample};

/// So many columns: each shows the median and the longest of what began in it.
const COLUMNS: u64 = 240;

/// Draws a run.
pub(super) fn draw(run: &Run, path: &Path) -> Result<()> {
    let area = SVGBackend::new(path, (1000, 440)).into_drawing_area();
    // its errors do not outlive the area
    paint(run, &area).map_err(|error| anyhow!("cannot draw {}: {error}", path.display()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Painted<'a> = Result<(), Box<dyn std::error::Error + 'a>>;

fn paint<'a>(run: &Run, area: &Area<'a>) -> Painted<'a> {
    let columns = columns(run);
    let seconds = (run.marks.end - run.marks.quiet) as f64 / 1e9;
    let longest = columns.iter().map(|c| c.longest).fold(1.0, f64::max);
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(
            "how long appends take while their streams move",
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..seconds, (0.1..longest * 6.0).log_scale())?;
    for (row, (phase, from, to)) in spans(run).into_iter().enumerate() {
        let corners = [(from, 0.1), (to, longest * 6.0)];
        let shade = Rectangle::new(corners, colour(phase).mix(0.18).filled());
        chart.draw_series([shade])?;
        // short phases stand side by side, their names below one another
        let height = longest * [4.8, 3.0, 1.9][row % 3];
        let label = Text::new(phase.name(), (from, height), ("sans-serif", 11));
        chart.draw_series([label])?;
    }
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .y_desc("milliseconds")
        .draw()?;
    let longest = columns.iter().map(|c| (c.at, c.longest));
    let longest = LineSeries::new(longest, RED.stroke_width(1));
    chart
        .draw_series(longest)?
        .label("longest")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED));
    let median = LineSeries::new(
        columns.iter().map(|c| (c.at, c.median)),
        BLUE.stroke_width(1),
    );
    chart
        .draw_series(median)?
        .label("median")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE));
    let redirected = run.samples.iter().filter(|sample| sample.redirected);
    let met = redirected.map(|sample| {
        let at = since(run, sample.at);
        Circle::new((at, sample.nanoseconds as f64 / 1e6), 2, BLACK.filled())
    });
    chart
        .draw_series(met)?
        .label("met a Close")
        .legend(|(x, y)| Circle::new((x + 8, y), 2, BLACK.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(area.present()?)
}

/// What began in one column, in seconds and milliseconds.
struct Column {
    at: f64,
    median: f64,
    longest: f64,
}

fn columns(run: &Run) -> Vec<Column> {
    let width = ((run.marks.end - run.marks.quiet) / COLUMNS).max(1);
    let of = |sample: &Sample| (sample.at - run.marks.quiet) / width;
    run.samples
        .chunk_by(|a, b| of(a) == of(b))
        .map(|samples| {
            let mut taken: Vec<_> = samples.iter().map(|s| s.nanoseconds).collect();
            taken.sort_unstable();
            let milliseconds = |at: usize| taken[at] as f64 / 1e6;
            Column {
                at: since(run, samples[0].at),
                median: milliseconds(taken.len() / 2),
                longest: milliseconds(taken.len() - 1),
            }
        })
        .collect()
}

/// Seconds since the beginning.
fn since(run: &Run, at: u64) -> f64 {
    (at - run.marks.quiet) as f64 / 1e9
}

fn spans(run: &Run) -> Vec<(Phase, f64, f64)> {
    let marks = &run.marks;
    [
        (Phase::Quiet, marks.quiet, marks.copying),
        (Phase::PlainCopy, marks.copying, marks.copied),
        (Phase::Migrating, marks.migrating, run.first_cutover),
        (Phase::Cutover, run.first_cutover, marks.migrated),
        (Phase::After, marks.migrated, marks.end),
    ]
    .map(|(phase, from, to)| (phase, since(run, from), since(run, to)))
    .to_vec()
}

fn colour(phase: Phase) -> RGBColor {
    match phase {
        Phase::Quiet | Phase::After => RGBColor(160, 160, 160),
        Phase::PlainCopy => RGBColor(230, 170, 60),
        Phase::Migrating => RGBColor(80, 150, 220),
        Phase::Cutover => RGBColor(210, 70, 90),
    }
}
