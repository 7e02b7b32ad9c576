//! The saga from end to end, on the in-memory fakes.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

mod bulk;
mod callbacks;
mod failures;
mod fixture;
mod forward;
mod paused;
mod planning;
mod takeover;
