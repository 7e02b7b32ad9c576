//! The table of all rows, for terminals and for the documentation.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::Row;

/// The latencies that times and rates are computed for, in milliseconds.
const LATENCIES: [u64; 3] = [1, 20, 50];

/// The page with the table, and what encloses the table there.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/performance.md");
const BEGIN: &str = "<!-- begin: cargo xtask bench latency -->\n";
const END: &str = "<!-- end: cargo xtask bench latency -->\n";

/// The columns of [`line`].
pub(super) fn head() -> String {
    let [fast, middle, slow] = LATENCIES.map(|millis| format!("at {millis} ms"));
    in_columns("", ["trips", "requests", &fast, &middle, &slow])
}

/// A row for terminals.
pub(super) fn line(row: &Row) -> String {
    let cells = cells(row);
    in_columns(
        &row.scenario.to_string(),
        cells.each_ref().map(String::as_str),
    )
}

fn in_columns(name: &str, [trips, requests, fast, middle, slow]: [&str; 5]) -> String {
    format!("{name:<52} {trips:>6} {requests:>8} {fast:>16} {middle:>16} {slow:>16}")
}

/// Replaces the table in the documentation.
pub(super) fn write(rows: &[Row]) -> Result<()> {
    let page = Path::new(PAGE);
    let text = std::fs::read_to_string(page).with_context(|| PAGE.to_owned())?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| format!("no place for the table: {PAGE}"))?;
    let mut table = "| | round trips | requests |".to_owned();
    for millis in LATENCIES {
        table.push_str(&format!(" at {millis} ms |"));
    }
    table.push_str("\n|---|---|---|---|---|---|\n");
    for row in rows {
        let cells = cells(row).join(" | ");
        table.push_str(&format!("| {} | {cells} |\n", row.scenario));
    }
    std::fs::write(page, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    Ok(())
}

fn cells(row: &Row) -> [String; 5] {
    let measured = &row.measured;
    let [fast, middle, slow] = LATENCIES.map(|millis| speed(row, millis));
    let (trips, requests) = (number(measured.round_trips), number(measured.requests));
    [trips, requests, fast, middle, slow]
}

/// Objects or events in a second for what is done in bulk, else the time.
fn speed(row: &Row, millis: u64) -> String {
    let seconds = row.measured.round_trips * millis as f64 / 1e3;
    if let Some(lanes) = row.scenario.lanes() {
        return format!("{} objects/s", whole(lanes as f64 / seconds));
    }
    match row.scenario.events() {
        Some(events) => format!("{} events/s", whole(events as f64 / seconds)),
        None => format!("{} ms", whole(seconds * 1e3)),
    }
}

/// With one digit behind the point, if it is not 0.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A whole number with its thousands apart.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        for (value, expected) in [(7.0, "7"), (10.84, "10.8"), (0.96, "1")] {
            assert_eq!(number(value), expected);
        }
        for (value, expected) in [(7.4, "7"), (999.0, "999"), (1e6, "1,000,000")] {
            assert_eq!(whole(value), expected);
        }
    }
}
