//! The suites reject stores that are deliberately broken, by the case that is there for it.

mod backups;
mod event_stores;
mod locks;
mod records;

use std::fmt::Debug;

use esm_testkit::conformance::{Case, run_case};

/// Stands still between a look and the write that relies on it, for long enough that others who
/// began at the same time have looked, too.
async fn let_others_run() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Runs all cases, each on a fresh harness, and gives the names of those that reject it.
fn rejected_by<H: ?Sized>(cases: &[Case<H>], harness: impl Fn() -> Box<H>) -> Vec<&'static str> {
    let rejects = |case: &&Case<H>| run_case(async { (case.run)(&*harness()).await.is_err() });
    cases.iter().filter(rejects).map(|case| case.name).collect()
}

/// Wants every defect to be rejected by its case, and every case to reject a defect: a case that
/// no store has failed yet may be one that none can fail.
fn assert_rejected<H: ?Sized, D: Copy + Debug>(
    cases: &[Case<H>],
    defects: &[(D, &str)],
    harness: impl Fn(D) -> Box<H>,
) {
    let mut unproven: Vec<_> = cases.iter().map(|case| case.name).collect();
    for (defect, wanted) in defects {
        let case = cases.iter().find(|case| case.name == *wanted);
        let case = std::slice::from_ref(case.expect("the case exists"));
        let rejected = rejected_by(case, || harness(*defect));
        assert_eq!(rejected, [*wanted], "{defect:?} is not rejected");
        unproven.retain(|name| name != wanted);
    }
    assert_eq!(unproven, [""; 0], "cases that have no defect to reject");
}
