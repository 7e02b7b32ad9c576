//! Charts over the whole run, drawn on the server, so that they are there without a script too.

use std::fmt::Write as _;

use esm_view::units::{bytes, count, duration};
use maud::{Markup, html};

use super::parts::time;
use crate::model::{History, Point};

/// Width and height of a drawing, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;
/// Rows of the table beside a chart.
const ROWS: usize = 24;

pub(super) fn charts(history: &History) -> Markup {
    let points = &history.points;
    if points.len() < 3 {
        return html! {};
    }
    html! {
        section.split {
            (chart(points, "Events per second", &|p| Some(p.events_per_second as f64), &|v| count(v as u64)))
            (chart(points, "Done", &|p| p.percent.map(f64::from), &|v| format!("{v:.0} %")))
        }
        section.card {
            details {
                summary { "The numbers of the charts" }
                div.scroll tabindex="0" role="region" aria-label="Numbers of the charts" { (table(points)) }
            }
            @if history.is_rough { p.small { "More points of the history are being read." } }
        }
    }
}

/// One quantity over time.
fn chart(
    points: &[Point],
    name: &str,
    value: &dyn Fn(&Point) -> Option<f64>,
    shown: &dyn Fn(f64) -> String,
) -> Markup {
    // what is not known is left out, not drawn as zero
    let known = points.iter().filter(|point| value(point).is_some());
    let points: Vec<_> = known.cloned().collect();
    let (points, value) = (points.as_slice(), |p: &Point| value(p).unwrap_or_default());
    if points.len() < 2 {
        return html! {};
    }
    let most = points.iter().map(&value).fold(0.0, f64::max);
    let newest = points.last().map_or(0.0, &value);
    let (line, area) = paths(points, &value, most.max(1.0));
    let (first, last) = (points.first().map(|p| p.at), points.last().map(|p| p.at));
    html! {
        figure.card.chart {
            figcaption { (name) ": now " strong { (shown(newest)) } ", at most " (shown(most)) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label={ (name) " over the run; the numbers are in the table below" } {
                @for part in 1..4 {
                    @let y = HEIGHT * f64::from(part) / 4.0;
                    line.grid x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                }
                path.area d=(area) {}
                path.line d=(line) {}
            }
            p.axis.small {
                @if let Some(at) = first { span { (time(at)) } }
                @if let Some(at) = last { span { (time(at)) } }
            }
        }
    }
}

/// A line over the points, and the area below it. The line has a gap where a run ended and another
/// began.
fn paths(points: &[Point], value: &dyn Fn(&Point) -> f64, most: f64) -> (String, String) {
    let first = points.first().map_or(0, |p| p.at.as_millisecond());
    let last = points.last().map_or(0, |p| p.at.as_millisecond());
    let span = (last - first).max(1) as f64;
    let x = |point: &Point| WIDTH * (point.at.as_millisecond() - first) as f64 / span;
    let end = |area: &mut String, point: Option<&Point>| {
        if let Some(point) = point {
            let _ = write!(area, "L{:.1} {HEIGHT}Z", x(point));
        }
    };
    let y = |point: &Point| HEIGHT - 4.0 - (HEIGHT - 8.0) * value(point) / most;
    let (mut line, mut area) = (String::new(), String::new());
    let mut before: Option<&Point> = None;
    for point in points {
        let (x, y) = (x(point), y(point));
        match before.filter(|before| before.elapsed <= point.elapsed) {
            Some(_) => {
                let _ = write!(line, "L{x:.1} {y:.1}");
            }
            None => {
                let _ = write!(line, "M{x:.1} {y:.1}");
                end(&mut area, before);
                let _ = write!(area, "M{x:.1} {HEIGHT}");
            }
        }
        let _ = write!(area, "L{x:.1} {y:.1}");
        before = Some(point);
    }
    end(&mut area, before);
    (line, area)
}

fn table(points: &[Point]) -> Markup {
    let step = points.len().div_ceil(ROWS).max(1);
    html! {
        table {
            thead { tr {
                th { "time" } th.number { "after" } th.number { "done" } th.number { "events/s" }
                th.number { "bytes/s" } th.number { "lag" }
            } }
            tbody {
                @for point in points.iter().rev().step_by(step) {
                    tr {
                        td { (time(point.at)) }
                        td.number { (duration(point.elapsed)) }
                        td.number { (point.percent.map_or("unknown".to_owned(), |p| format!("{p} %"))) }
                        td.number { (count(point.events_per_second)) }
                        td.number { (bytes(point.bytes_per_second)) }
                        td.number { (point.lag.map_or("unknown".to_owned(), count)) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn point(second: i64, elapsed: u64, rate: u64) -> Point {
        Point {
            at: jiff::Timestamp::from_second(second).unwrap(),
            elapsed: Duration::from_secs(elapsed),
            events_per_second: rate,
            bytes_per_second: 0,
            percent: None,
            lag: None,
        }
    }

    #[test]
    fn a_line_has_a_gap_where_another_run_began() {
        let points = [
            point(0, 0, 0),
            point(5, 5, 10),
            point(8, 0, 0),
            point(10, 2, 10),
        ];
        let (line, area) = paths(&points, &|p| p.events_per_second as f64, 10.0);
        assert_eq!(line, "M0.0 116.0L300.0 4.0M480.0 116.0L600.0 4.0");
        assert_eq!(area.matches('Z').count(), 2);
        assert_eq!(paths(&points[..1], &|_| 1.0, 1.0).0, "M0.0 4.0");
    }
}
