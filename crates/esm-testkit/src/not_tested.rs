//! Reports, by name, of what a run could not test.

use std::io::Write as _;
use std::path::Path;

/// The variable that names the directory of the reports.
const DIRECTORY: &str = "ESM_NOT_TESTED";

/// Reports that something was not tested, and why. Call it instead of skipping a test silently.
///
/// Where the variable `ESM_NOT_TESTED` names a directory, a file is written there. Its name is
/// `what`, its content `why`. The caller of the tests sets the variable and prints the files at the
/// end, as this project's `cargo xtask test` does. Without the variable the report goes to standard
/// error, which `cargo test` shows even for a test that passes. nextest does not show it, so set
/// the variable there.
///
/// ```
/// esm_testkit::not_tested("doc example", "nothing is missing; this shows a report");
/// ```
///
/// # Panics
/// When the directory cannot be written to. Otherwise the run would look complete.
pub fn not_tested(what: &str, why: &str) {
    match std::env::var_os(DIRECTORY) {
        Some(directory) => {
            let file = Path::new(&directory).join(what.replace('/', "-"));
            if let Err(error) = std::fs::write(&file, why) {
                panic!("cannot note down in {}: {error}", file.display());
            }
        }
        // not by eprintln!, which the test harness captures; a closed standard error is no failure
        None => drop(writeln!(std::io::stderr(), "not tested: {what}: {why}")),
    }
}
