//! What could not be tested is reported to people, also by a test that passes.

use std::process::{Command, Output};

/// Set for the process in which [`reports`] does.
const REPORT: &str = "ESM_TEST_REPORTS";

#[test]
fn reports() {
    if std::env::var_os(REPORT).is_some() {
        esm_testkit::not_tested("a server", "there is none");
    }
}

/// A process of the test harness, as `cargo test` starts it, in which a test reports it and passes.
fn reported(directory: Option<&std::path::Path>) -> std::io::Result<Output> {
    let mut harness = Command::new(std::env::current_exe()?);
    harness
        .args(["--exact", "not_tested::reports"])
        .env(REPORT, "1");
    match directory {
        Some(directory) => harness.env("ESM_NOT_TESTED", directory),
        None => harness.env_remove("ESM_NOT_TESTED"),
    };
    harness.output()
}

#[test]
fn a_report_reaches_standard_error_past_the_capture_of_the_harness() -> std::io::Result<()> {
    let output = reported(None)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors, "not tested: a server: there is none\n");
    Ok(())
}

#[test]
fn a_report_goes_to_the_directory_and_not_to_standard_error() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let output = reported(Some(directory.path()))?;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let noted = std::fs::read_to_string(directory.path().join("a server"))?;
    assert_eq!(noted, "there is none");
    Ok(())
}
