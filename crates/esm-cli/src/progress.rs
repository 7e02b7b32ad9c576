//! Progress on standard error: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{self, Escaped, Output};

/// Mode of the progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, lines elsewhere, nothing with --output json.
    Auto,
    /// A progress bar.
    Bar,
    /// A line every five seconds.
    Lines,
    /// No progress.
    Off,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Width of the gauge in columns.
const GAUGE: usize = 12;

/// A progress display: one line on a terminal, rewritten, with as many of its parts as fit; elsewhere a
/// line every few seconds.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Option<Arc<Mutex<Display>>>);

#[derive(Debug)]
struct Display {
    what: String,
    unit: Unit,
    figures: Figures,
    begun: Instant,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Bar(Rewritten),
    Lines { next: Instant },
}

/// What a display shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Units done.
    pub(crate) done: u64,
    /// Units in total, if that is known.
    pub(crate) total: Option<u64>,
    /// Whether there may be more than the total.
    pub(crate) at_least: bool,
    /// The part that is done, if that is not the part of the units.
    pub(crate) percent: Option<u8>,
    /// The time left, if it is not estimated from the units.
    pub(crate) left: Option<Duration>,
    /// What is said after the figures, the most important first.
    pub(crate) about: Vec<String>,
}

impl Progress {
    /// Starts to display the progress of `what`, counted in `unit`, of `total` if it is known.
    pub(crate) fn begin(
        mode: ProgressMode,
        output: &Output,
        what: &str,
        unit: Unit,
        total: Option<u64>,
    ) -> Self {
        let begun = Instant::now();
        let form = match mode {
            ProgressMode::Auto if output.is_json() => return Self(None),
            ProgressMode::Off => return Self(None),
            ProgressMode::Auto if std::io::stderr().is_terminal() => Form::bar(),
            ProgressMode::Bar => Form::bar(),
            ProgressMode::Auto | ProgressMode::Lines => Form::Lines {
                next: begun + BETWEEN_LINES,
            },
        };
        let figures = Figures {
            total,
            ..Figures::default()
        };
        let display = Display {
            what: what.to_owned(),
            unit,
            figures,
            begun,
            form,
        };
        Self(Some(Arc::new(Mutex::new(display))))
    }

    /// Sets how much is done.
    pub(crate) fn at(&self, done: u64) {
        self.update(|figures| figures.done = done);
    }

    /// Sets the total, if it is known only now.
    pub(crate) fn total(&self, total: Option<u64>) {
        self.update(|figures| figures.total = total.or(figures.total));
    }

    /// Sets everything that is displayed.
    pub(crate) fn show(&self, figures: Figures) {
        self.update(|shown| *shown = figures);
    }

    fn update(&self, change: impl FnOnce(&mut Figures)) {
        let Some(display) = &self.0 else { return };
        let mut display = display.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut display.figures);
        display.draw(Instant::now());
    }

    /// Removes the display.
    pub(crate) fn end(&self) {
        let Some(display) = &self.0 else { return };
        let display = display.lock().unwrap_or_else(PoisonError::into_inner);
        if let Form::Bar(bar) = &display.form {
            bar.end();
        }
    }
}

/// Unit of the figures. It stays the same for as long as a display is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of input.
    Bytes,
    /// Events.
    Events,
    /// Objects.
    Objects,
}

impl Unit {
    fn amount(self, number: u64) -> String {
        match self {
            Self::Bytes => output::bytes(number),
            Self::Events => output::counted(number, "event"),
            Self::Objects => output::counted(number, "object"),
        }
    }
}

impl Form {
    fn bar() -> Self {
        Self::Bar(Rewritten::begin())
    }
}

/// One line on a terminal, rewritten.
#[derive(Debug)]
pub(crate) struct Rewritten(ProgressBar);

impl Rewritten {
    pub(crate) fn begin() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Replaces the line by the first of these that fits into the terminal; the last one is cut behind a
    /// word if none does.
    pub(crate) fn show(&self, lines: impl IntoIterator<Item = String>) {
        let lines = lines.into_iter().map(|line| Escaped(line).to_string());
        self.0.set_message(fitting(lines, output::stderr_width()));
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn fitting(mut lines: impl Iterator<Item = String>, width: Option<usize>) -> String {
    let mut line = lines.next().unwrap_or_default();
    let Some(width) = width else {
        return line;
    };
    while output::width_of(&line) > width {
        match lines.next() {
            Some(shorter) => line = shorter,
            None => return output::cut(&line, width),
        }
    }
    line
}

impl Figures {
    fn percent(&self) -> Option<u64> {
        let total = self.total.filter(|total| *total > 0)?;
        let of_units = || self.done.saturating_mul(100) / total;
        Some(self.percent.map_or_else(of_units, u64::from).min(100))
    }

    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let total = self
            .total
            .filter(|_| self.percent.is_none() && self.done > 0);
        let of_units = |total: u64| {
            let left = total.saturating_sub(self.done) as f64 / self.done as f64;
            Duration::try_from_secs_f64(elapsed.as_secs_f64() * left).ok()
        };
        self.left.or_else(|| total.and_then(of_units))
    }

    /// The amounts: `43 % of 300,000 events`.
    pub(crate) fn amounts(&self, unit: Unit) -> String {
        let at_least = if self.at_least { "at least " } else { "" };
        match (self.total, self.percent()) {
            (Some(total), Some(percent)) => {
                format!("{percent} % of {at_least}{}", unit.amount(total))
            }
            _ => unit.amount(self.done),
        }
    }
}

impl Display {
    fn draw(&mut self, now: Instant) {
        let elapsed = now - self.begun;
        match &self.form {
            Form::Bar(bar) => bar.show(self.bars(elapsed)),
            Form::Lines { next } if now < *next => {}
            Form::Lines { .. } => {
                self.form = Form::Lines {
                    next: now + BETWEEN_LINES,
                };
                output::to_stderr(&Escaped(self.line(elapsed)).to_string());
            }
        }
    }

    /// The line, and shorter ones: without what is said last, then without the gauge, then without
    /// anything but the amounts.
    fn bars(&self, elapsed: Duration) -> impl Iterator<Item = String> + use<'_> {
        let said = self.figures.about.len();
        let with_gauge = (1..=said).rev().map(|said| (true, said));
        let without_gauge = (0..=said.min(1)).rev().map(|said| (false, said));
        let only_the_gauge = (said == 0).then_some((true, 0));
        let lines = only_the_gauge
            .into_iter()
            .chain(with_gauge)
            .chain(without_gauge);
        let lines = lines.map(move |(gauge, said)| {
            let gauge = if gauge { self.gauge() } else { String::new() };
            let amounts = self.figures.amounts(self.unit);
            format!("{}{gauge} {amounts}{}", self.what, self.rest(elapsed, said))
        });
        let amounts = format!("{} {}", self.what, self.figures.amounts(self.unit));
        lines.chain([amounts])
    }

    fn gauge(&self) -> String {
        let Some(percent) = self.figures.percent() else {
            return String::new();
        };
        let done = percent as usize * GAUGE / 100;
        let head = if done < GAUGE { ">" } else { "" };
        let gauge = format!("{}{head}", "=".repeat(done));
        format!(" [{gauge:GAUGE$}]")
    }

    fn line(&self, elapsed: Duration) -> String {
        let amounts = self.figures.amounts(self.unit);
        let time = output::duration(elapsed);
        let rest = self.rest(elapsed, self.figures.about.len());
        format!("{}: {amounts} after {time}{rest}", self.what)
    }

    /// The time left, and the first parts of what is said.
    fn rest(&self, elapsed: Duration, said: usize) -> String {
        let left = self.figures.left(elapsed).map(output::remaining);
        let left = left.map_or(String::new(), |left| format!(", {left}"));
        match &self.figures.about[..said] {
            [] => left,
            about => format!("{left}; {}", about.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn display(unit: Unit, figures: Figures) -> Display {
        let begun = Instant::now();
        Display {
            what: "import".to_owned(),
            unit,
            figures,
            begun,
            form: Form::Lines { next: begun },
        }
    }

    fn bar(display: &Display, elapsed: Duration, width: usize) -> String {
        fitting(display.bars(elapsed), Some(width))
    }

    #[test]
    fn a_line_says_how_much_of_what_is_done_and_how_long_the_rest_takes() {
        let mut shown = display(
            Unit::Bytes,
            Figures {
                done: 500,
                total: Some(2_000),
                ..Figures::default()
            },
        );
        let elapsed = Duration::from_secs(7);
        assert_eq!(
            shown.line(elapsed),
            "import: 25 % of 2.0 KiB after 7.0 s, about 21 s left"
        );
        assert_eq!(
            bar(&shown, elapsed, 80),
            "import [===>        ] 25 % of 2.0 KiB, about 21 s left"
        );
        shown.figures.total = None;
        shown.figures.about = vec!["order/1".to_owned()];
        assert_eq!(shown.line(elapsed), "import: 500 B after 7.0 s; order/1");
        assert_eq!(bar(&shown, elapsed, 80), "import 500 B; order/1");
    }

    #[test]
    fn a_run_sets_its_own_part_and_time_and_says_when_the_total_is_a_lower_bound() {
        let mut figures = Figures {
            done: 1,
            total: Some(300_000),
            at_least: true,
            percent: Some(43),
            left: Some(Duration::from_secs(80)),
            about: vec!["copy".to_owned(), "109 of 320 objects".to_owned()],
        };
        assert_eq!(
            bar(
                &display(Unit::Events, figures.clone()),
                Duration::from_secs(60),
                120
            ),
            "import [=====>      ] 43 % of at least 300,000 events, about 1 min 20 s left; copy, \
             109 of 320 objects"
        );
        figures.left = None;
        let line = display(Unit::Events, figures).line(Duration::from_secs(60));
        assert_eq!(
            line,
            "import: 43 % of at least 300,000 events after 1 min 0 s; copy, 109 of 320 objects"
        );
    }

    #[test]
    fn a_narrow_terminal_shows_the_parts_that_matter_most_and_breaks_none() {
        let figures = Figures {
            done: 43,
            total: Some(100),
            left: Some(Duration::from_secs(80)),
            about: vec!["copy".to_owned(), "109 of 320 objects".to_owned()],
            ..Figures::default()
        };
        let display = display(Unit::Events, figures);
        for (width, shown) in [
            (
                90,
                "import [=====>      ] 43 % of 100 events, about 1 min 20 s left; copy, 109 of 320 objects",
            ),
            (
                80,
                "import [=====>      ] 43 % of 100 events, about 1 min 20 s left; copy",
            ),
            (60, "import 43 % of 100 events, about 1 min 20 s left; copy"),
            (50, "import 43 % of 100 events, about 1 min 20 s left"),
            (40, "import 43 % of 100 events"),
            (20, "import 43 % of 100…"),
        ] {
            assert_eq!(bar(&display, Duration::from_secs(60), width), shown);
        }
    }

    #[test]
    fn a_finished_gauge_is_full_and_nothing_exceeds_it() {
        let figures = Figures {
            done: 5,
            total: Some(4),
            ..Figures::default()
        };
        let bar = bar(&display(Unit::Objects, figures), Duration::from_secs(1), 80);
        assert!(
            bar.starts_with("import [============] 100 % of 4 objects"),
            "{bar}"
        );
    }
}
