//! What is printed.

use anyhow::Result;

use super::Options;
use super::figures::{Figures, Latency, Ratios, Series};
use super::phases::{Phase, Run};

pub(super) fn heading(options: &Options) {
    let Options {
        writers,
        objects,
        events,
        pause,
        seed,
        ..
    } = options;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{writers} applications append to {objects} objects of {events} events, thinking for \
         {pause} µs between two appends; seed {seed}; {} on {cores} cores",
        std::env::consts::OS
    );
}

/// Prints one run. How long the migrator works depends on the machine, and so does how many appends
/// that phase has; a phase with too few is reported.
pub(super) fn run(number: u32, run: &Run, appends: u64) -> Result<()> {
    println!("\nrun {}: {}", number + 1, run.found);
    println!(
        "  {:<36} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "appends", "p50 ms", "p99 ms", "max ms", "requests", "conflicts"
    );
    let mut few = false;
    for phase in Phase::ALL {
        let latency = Latency::of(run.of(phase))?;
        let conflicts = run.conflicts.iter().filter(|p| **p == phase).count();
        line(phase.name(), &latency, conflicts);
        few |= latency.appends < appends;
    }
    if few {
        println!(
            "  a phase of fewer than {appends} appends says little: give the objects more --events"
        );
    }
    let redirected = run.samples.iter().filter(|sample| sample.redirected);
    line("  of these, met a Close", &Latency::of(redirected)?, 0);
    Ok(())
}

fn line(label: &str, latency: &Latency, conflicts: usize) {
    let milliseconds = |nanoseconds: f64| nanoseconds / 1e6;
    println!(
        "  {label:<36} {:>8} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {conflicts:>9}",
        latency.appends,
        milliseconds(latency.median),
        milliseconds(latency.p99),
        milliseconds(latency.most),
        latency.requests,
    );
}

/// All runs, as rows of the table in `docs/live.md`.
pub(super) fn figures(figures: &Figures) {
    println!("\nratios to the quiet phase of the same run: median (least … most) of the runs\n");
    println!("| | appends | p50 | p99 | max | extra requests | most requests |");
    println!("|---|---|---|---|---|---|---|");
    for (phase, ratios) in Phase::ALL.into_iter().zip(&figures.phases) {
        row(phase.name(), ratios);
    }
    row("the appends that met a Close", &figures.redirected);
    let (round_trip, ..) = figures.round_trip.spread();
    println!(
        "\na round trip (p50 of the quiet phase): {:.2} ms; longest append: {} round trips while \
         the migrator is at work, {} beside a plain copy",
        round_trip / 1e6,
        shown(&figures.stall, 0),
        shown(&figures.stall_beside_copy, 0)
    );
}

fn row(label: &str, ratios: &Ratios) {
    println!(
        "| {label} | {} | {} | {} | {} | {} | {} |",
        shown(&ratios.appends, 0),
        shown(&ratios.median, 2),
        shown(&ratios.p99, 2),
        shown(&ratios.most, 2),
        shown(&ratios.extra_requests, 2),
        shown(&ratios.most_requests, 0),
    );
}

fn shown(series: &Series, digits: usize) -> String {
    let (middle, least, most) = series.spread();
    format!("{middle:.digits$} ({least:.digits$} … {most:.digits$})")
}
