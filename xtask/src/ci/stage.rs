//! A stage, and running several.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// One check with a name.
#[derive(Debug)]
pub(super) struct Stage {
    name: &'static str,
    check: fn() -> Result<()>,
}

impl Stage {
    pub(super) const fn new(name: &'static str, check: fn() -> Result<()>) -> Self {
        Self { name, check }
    }
}

/// The stages that were asked for: all, those from one on, or one.
pub(super) fn choose<'a>(
    stages: &'a [Stage],
    from: Option<&str>,
    only: Option<&str>,
) -> Result<&'a [Stage]> {
    let Some(name) = from.or(only) else {
        return Ok(stages);
    };
    let Some(at) = stages.iter().position(|stage| stage.name == name) else {
        let names: Vec<_> = stages.iter().map(|stage| stage.name).collect();
        bail!("no such stage, there are {}: {name}", names.join(", "));
    };
    Ok(match only {
        Some(_) => &stages[at..=at],
        None => &stages[at..],
    })
}

/// Runs stages in order up to the first that fails, and prints how long each took.
pub(super) fn run(stages: &[Stage]) -> Result<()> {
    let mut times = Vec::new();
    let mut outcome = Ok(());
    for stage in stages {
        println!("\n==== {}", stage.name);
        let begun = Instant::now();
        outcome = (stage.check)().with_context(|| format!("stage {} failed", stage.name));
        times.push((stage.name, begun.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    println!("\n{}", table(&times, outcome.is_ok()));
    outcome
}

fn table(times: &[(&str, Duration)], passed: bool) -> String {
    let mut lines = vec![format!("{:<12} {:>9}", "stage", "seconds")];
    for (at, (name, time)) in times.iter().enumerate() {
        let failed = !passed && at + 1 == times.len();
        let mark = if failed { "  FAILED" } else { "" };
        lines.push(format!("{name:<12} {:>9.1}{mark}", time.as_secs_f64()));
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    lines.push(format!("{:<12} {:>9.1}", "total", total.as_secs_f64()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: &[Stage] = &[
        Stage::new("a", || Ok(())),
        Stage::new("b", || bail!("broken")),
        Stage::new("c", || Ok(())),
    ];

    #[test]
    fn stages_are_chosen_by_name() -> Result<()> {
        let names = |chosen: &[Stage]| chosen.iter().map(|s| s.name).collect::<String>();
        assert_eq!(names(choose(STAGES, None, None)?), "abc");
        assert_eq!(names(choose(STAGES, Some("b"), None)?), "bc");
        assert_eq!(names(choose(STAGES, None, Some("b"))?), "b");
        assert!(choose(STAGES, Some("x"), None).is_err());
        Ok(())
    }

    #[test]
    fn the_stage_that_fails_is_named() {
        let error = run(STAGES).expect_err("stage b fails");
        assert_eq!(format!("{error:#}"), "stage b failed: broken");
    }

    #[test]
    fn the_table_marks_the_stage_that_failed() {
        let second = Duration::from_secs(1);
        let text = table(&[("a", second), ("b", second)], false);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "stage          seconds",
                "a                  1.0",
                "b                  1.0  FAILED",
                "total              2.0"
            ]
        );
    }
}
