//! Judges whether the cases reject broken stores.

use std::fmt::Debug;

use esm_testkit::conformance::{Case, run_case};

/// Waits between a read and the write that relies on it, for long enough that other tasks that began
/// at the same time have read, too.
pub(super) async fn let_others_run() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Runs all cases, each on a fresh harness, and returns the names of those that reject it.
pub(super) fn rejected_by<H: ?Sized>(
    cases: &[Case<H>],
    harness: impl Fn() -> Box<H>,
) -> Vec<&'static str> {
    let rejects = |case: &&Case<H>| run_case(async { (case.run)(&*harness()).await.is_err() });
    cases.iter().filter(rejects).map(|case| case.name).collect()
}

/// Requires that its case rejects every defect, and that every case rejects a defect: a case that no
/// store has failed may be one that none can fail.
pub(super) fn assert_rejected<H: ?Sized, D: Copy + Debug>(
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
