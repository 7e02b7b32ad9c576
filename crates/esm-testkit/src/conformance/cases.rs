//! Lists and runs cases.

use std::fmt;
use std::future::Future;

use futures::future::BoxFuture;

use super::Verdict;

/// One case of a suite, for callers that do not use the suite's macro.
///
/// ```
/// use esm_testkit::conformance::{event_store, records};
///
/// let names: Vec<_> = records::CASES.iter().map(|case| case.name).collect();
/// assert!(names.contains(&"one_of_many_puts_wins"));
/// assert!(event_store::CASES.iter().any(|case| case.name == "nothing_follows_a_close"));
/// ```
pub struct Case<H: ?Sized> {
    /// Its name.
    pub name: &'static str,
    /// Runs it.
    pub run: for<'a> fn(&'a H) -> BoxFuture<'a, Verdict>,
}

impl<H: ?Sized> fmt::Debug for Case<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({})", self.name)
    }
}

/// Runs a case on a runtime with several threads, so that races are real.
///
/// ```
/// use esm_testkit::conformance::run_case;
///
/// assert_eq!(run_case(async { 1 + 1 }), 2);
/// ```
///
/// # Panics
/// When no runtime can be started.
pub fn run_case<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime can be started")
        .block_on(case)
}

/// The table of a suite's cases.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_table {
    (($harness:ty) [$($case:ident)*]) => {
        /// All cases of this suite.
        pub const CASES: &[$crate::conformance::Case<$harness>] = &[
            $($crate::conformance::Case {
                name: stringify!($case),
                run: |harness| Box::pin($case(harness)),
            },)*
        ];
    };
}

/// One test per case.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($suite:ident, $harness:expr) [$($case:ident)*]) => {
        $(
            #[test]
            fn $case() {
                let verdict = $crate::conformance::run_case(async {
                    let harness = $harness;
                    $crate::conformance::$suite::$case(&harness).await
                });
                if let Err(failure) = verdict {
                    panic!("{}: {failure}", stringify!($case));
                }
            }
        )*
    };
}
