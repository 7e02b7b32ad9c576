//! The suites reject stores that are deliberately broken, by the case that is there for it.

mod backups;
mod event_stores;
mod locks;
mod records;

use esm_testkit::conformance::{Case, run_case};

/// Runs all cases, each on a fresh harness, and gives the names of those that reject it.
fn rejected_by<H: ?Sized>(cases: &[Case<H>], harness: impl Fn() -> Box<H>) -> Vec<&'static str> {
    let rejects = |case: &&Case<H>| run_case(async { (case.run)(&*harness()).await.is_err() });
    cases.iter().filter(rejects).map(|case| case.name).collect()
}

/// Wants the named case among those that reject the defect.
fn assert_rejected(rejected_by: &[&str], wanted: &str, defect: impl std::fmt::Debug) {
    assert!(
        rejected_by.contains(&wanted),
        "{defect:?} is not rejected by {wanted}, but by {rejected_by:?}"
    );
}
