//! What could not be tested is told to people, also by a test that passes.

use std::process::{Command, Output};

/// Set for the process in which [`tells`] does.
const TELL: &str = "ESM_TEST_TELLS";

#[test]
fn tells() {
    if std::env::var_os(TELL).is_some() {
        esm_testkit::not_tested("a server", "there is none");
    }
}

/// A process of the test harness, as `cargo test` starts it, in which a test tells it and passes.
fn told(directory: Option<&std::path::Path>) -> std::io::Result<Output> {
    let mut harness = Command::new(std::env::current_exe()?);
    harness.args(["--exact", "tells"]).env(TELL, "1");
    match directory {
        Some(directory) => harness.env("ESM_NOT_TESTED", directory),
        None => harness.env_remove("ESM_NOT_TESTED"),
    };
    harness.output()
}

#[test]
fn standard_error_is_told_past_the_capture_of_the_harness() -> std::io::Result<()> {
    let output = told(None)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors, "not tested: a server: there is none\n");
    Ok(())
}

#[test]
fn a_directory_is_told_and_standard_error_is_not() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let output = told(Some(directory.path()))?;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let noted = std::fs::read_to_string(directory.path().join("a server"))?;
    assert_eq!(noted, "there is none");
    Ok(())
}
