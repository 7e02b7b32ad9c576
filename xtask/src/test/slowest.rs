//! The slowest tests of a run, from the report that nextest writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::project;

/// The report of a run in JUnit's format; `.config/nextest.toml` asks for it.
#[derive(Debug)]
pub(crate) struct Report(PathBuf);

/// A test with the time it took.
#[derive(Debug, PartialEq)]
struct Test {
    name: String,
    time: Duration,
}

impl Report {
    /// The report of a run with this profile; that of an earlier run is deleted.
    pub(crate) fn fresh(profile: &str) -> Result<Self> {
        let folder = project::target().join("nextest").join(profile);
        Self::fresh_at(&folder)
    }

    fn fresh_at(folder: &Path) -> Result<Self> {
        let file = folder.join("junit.xml");
        if file.exists() {
            fs::remove_file(&file)?;
        }
        Ok(Self(file))
    }

    /// Prints the slowest tests, slowest first; nothing where no tests ran.
    pub(crate) fn print_slowest(&self, count: usize) -> Result<()> {
        let tests = self.slowest(count)?;
        if !tests.is_empty() {
            println!("\n{:>9}  slowest tests", "seconds");
        }
        for Test { name, time } in tests {
            println!("{:>9.1}  {name}", time.as_secs_f64());
        }
        Ok(())
    }

    fn slowest(&self, count: usize) -> Result<Vec<Test>> {
        if !self.0.exists() {
            return Ok(Vec::new());
        }
        let mut tests = tests(&fs::read_to_string(&self.0)?)?;
        tests.sort_by_key(|test| std::cmp::Reverse(test.time));
        tests.truncate(count);
        Ok(tests)
    }
}

/// The tests of a report. Their names need no unescaping: they are paths of Rust.
fn tests(report: &str) -> Result<Vec<Test>> {
    let elements = report.split("<testcase ").skip(1);
    elements
        .map(|element| {
            let attributes = element.split('>').next().unwrap_or_default();
            let value = |name| {
                let value = attribute(attributes, name);
                value.with_context(|| format!("a test in the report has no {name}: {attributes}"))
            };
            let seconds: f64 = value("time")?.parse()?;
            Ok(Test {
                name: format!("{} {}", value("classname")?, value("name")?),
                time: Duration::try_from_secs_f64(seconds)?,
            })
        })
        .collect()
}

fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut values = attributes.split('"');
    while let (Some(before), Some(value)) = (values.next(), values.next()) {
        if before.trim_start().strip_suffix('=') == Some(name) {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" time="9.000">
    <testsuite name="esm-cli::cli" tests="3">
        <testcase name="import::a" classname="esm-cli::cli" timestamp="2026-01-02" time="0.500">
        </testcase>
        <testcase name="import::b" classname="esm-cli::cli" time="61.250"/>
        <testcase name="c" classname="esm-core" time="7.000">
            <failure message="name=&quot;x&quot;" type="test failure">time="9"</failure>
        </testcase>
    </testsuite>
</testsuites>
"#;

    #[test]
    fn the_slowest_come_first_and_no_more_than_asked_for() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let report = Report::fresh_at(folder.path())?;
        assert_eq!(report.slowest(2)?, []);
        fs::write(folder.path().join("junit.xml"), REPORT)?;
        let test = |name: &str, millis| Test {
            name: name.to_owned(),
            time: Duration::from_millis(millis),
        };
        let expected = [
            test("esm-cli::cli import::b", 61_250),
            test("esm-core c", 7_000),
        ];
        assert_eq!(report.slowest(2)?, expected);
        assert_eq!(report.slowest(10)?.len(), 3);
        let report = Report::fresh_at(folder.path())?;
        assert_eq!(report.slowest(2)?, []);
        Ok(())
    }

    #[test]
    fn a_report_that_is_not_understood_is_an_error() {
        assert!(tests("<testcase name=\"a\" time=\"1\"/>").is_err());
        assert!(tests("<testcase name=\"a\" classname=\"b\" time=\"x\"/>").is_err());
    }
}
