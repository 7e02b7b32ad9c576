//! The suite of event stores: see [`event_store_conformance!`](crate::event_store_conformance).
//!
//! ```
//! # struct Mine(esm_testkit::memory::MemoryWorld);
//! # #[async_trait::async_trait]
//! # impl esm_testkit::conformance::EventStoreHarness for Mine {
//! #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::EventStore> {
//! #         self.0.event_store()
//! #     }
//! # }
//! use esm_testkit::environment;
//! use esm_testkit::conformance::{event_store, run_case};
//! use esm_testkit::memory::MemoryWorld;
//!
//! // `Mine` is an `EventStoreHarness`: its documentation shows one
//! for case in event_store::CASES {
//!     let mine = Mine(MemoryWorld::new(environment(1)));
//!     let verdict = run_case(async { (case.run)(&mine).await });
//!     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! ```

mod appending;
mod closing;
mod contents;
mod discarding;
mod racing;
mod reading;
mod refused;

use super::EventStoreHarness;

pub use appending::*;
pub use closing::*;
pub use contents::*;
pub use discarding::*;
pub use racing::*;
pub use reading::*;

crate::__event_store_cases!(__conformance_table!(dyn EventStoreHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __event_store_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            a_missing_stream_is_empty
            an_append_gives_the_next_tail
            an_append_at_an_old_tail_conflicts
            the_same_append_succeeds_again
            an_empty_append_is_refused
            what_is_too_large_is_refused
            cells_are_chained
            a_tail_is_exact_for_everybody
            a_fresh_handle_finds_a_far_tail
            writes_outlive_their_handle
            pages_join_without_gaps
            reading_begins_at_a_revision
            the_first_cell_is_always_in_the_page
            a_page_knows_the_end
            nothing_follows_a_close
            what_stands_before_a_close_succeeds_again
            the_same_close_succeeds_again
            a_close_at_an_old_tail_conflicts
            a_close_counts_its_events
            an_empty_stream_can_be_closed
            a_close_is_kept_as_written
            a_fence_is_stepped_over
            a_fence_at_an_old_tail_conflicts
            a_fence_between_verification_and_close
            one_of_many_appends_wins
            one_of_appends_and_closes_wins
            no_acknowledged_append_is_lost_by_a_close
            readers_see_whole_batches
            streams_do_not_disturb_each_other
            bytes_survive
            what_a_copier_writes_survives
            odd_names_do_not_collide
            all_handles_are_the_same_store
            discarding_as_the_capability_says
        ] }
    };
}

/// One `#[test]` per case of the event stores' suite, each with its own harness.
///
/// Takes an expression that makes an [`EventStoreHarness`]; it may await.
///
/// ```
/// # struct Mine(esm_testkit::memory::MemoryWorld);
/// # #[async_trait::async_trait]
/// # impl esm_testkit::conformance::EventStoreHarness for Mine {
/// #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::EventStore> {
/// #         self.0.event_store()
/// #     }
/// # }
/// use esm_testkit::{environment, memory::MemoryWorld};
///
/// // `Mine` is an `EventStoreHarness`: its documentation shows one
/// esm_testkit::event_store_conformance!(Mine(MemoryWorld::new(environment(1))));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! event_store_conformance {
    ($harness:expr) => {
        $crate::__event_store_cases!(__conformance_tests!(event_store, $harness));
    };
}
