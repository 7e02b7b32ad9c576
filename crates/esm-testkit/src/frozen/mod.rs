//! Processes that are frozen between two steps of their storage, while others clean up, append and
//! close.
//!
//! A provider's steps are what it cannot take back: system calls, requests. It reports each to a
//! [`Freezer`], which stops the process at one of them. [`pairs`] stops two processes that want the
//! same place, each at every step, while a third with a clock that is days ahead starts and cleans
//! up, and compares what they were acknowledged with what is there.

mod freezer;
mod pairs;

pub use freezer::Freezer;
pub use pairs::{Deed, FreezableHarness, PairsOutcome, pairs};
