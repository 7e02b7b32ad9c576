//! The conformance suites. Cases run side by side, each in a place of its own: those of locks wait
//! for leases to end, in real time.

use esm_testkit::conformance::{Case, backup, event_store, lock, records, run_case};
use futures::StreamExt as _;

use crate::place::Place;

/// Runs a suite, and reports all that failed.
fn run<H: ?Sized>(at_once: usize, cases: &[Case<H>], harness: for<'a> fn(&'a Place) -> &'a H) {
    if Place::fresh().is_none() {
        return;
    }
    let failures: Vec<String> = run_case(async {
        futures::stream::iter(cases)
            .map(|case| async move {
                let place = Place::fresh()?;
                let failure = (case.run)(harness(&place)).await.err();
                failure.map(|failure| format!("{}: {failure}", case.name))
            })
            .buffer_unordered(at_once)
            .filter_map(std::future::ready)
            .collect()
            .await
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn event_stores() {
    run(2, event_store::CASES, |place| place);
}

#[test]
fn records_of_all_kinds() {
    run(2, records::CASES, |place| place);
}

#[test]
fn locks_with_real_leases() {
    run(lock::CASES.len(), lock::CASES, |place| place);
}

#[test]
fn backups() {
    run(2, backup::CASES, |place| place);
}
