//! What could not be tested, by name: never skipped in silence.

use std::io::Write as _;
use std::path::Path;

/// The variable that names the directory for what could not be tested.
const DIRECTORY: &str = "ESM_NOT_TESTED";

/// Notes down that something was not tested, and why; call it instead of skipping in silence.
///
/// Where the variable `ESM_NOT_TESTED` names a directory, a file is written there: its name says
/// what, its content why. Whoever runs the tests sets the variable and prints what is there in the
/// end, as this project's `cargo xtask test` does. Without it, standard error is told, so that
/// `cargo test` shows it also of a test that passes. nextest does not, so set the variable there.
///
/// ```
/// esm_testkit::not_tested("doc example", "nothing is missing; this shows how it is told");
/// ```
///
/// # Panics
/// When the directory cannot be written to: else a run would look as if all had been tested.
pub fn not_tested(what: &str, why: &str) {
    match std::env::var_os(DIRECTORY) {
        Some(directory) => {
            let file = Path::new(&directory).join(what.replace('/', "-"));
            if let Err(error) = std::fs::write(&file, why) {
                panic!("cannot note down in {}: {error}", file.display());
            }
        }
        // not by eprintln!, which the test harness swallows; who has closed it wants no telling
        None => drop(writeln!(std::io::stderr(), "not tested: {what}: {why}")),
    }
}
