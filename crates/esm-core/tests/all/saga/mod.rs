//! The saga from end to end, on the in-memory fakes.

mod beside;
mod bulk;
mod callbacks;
mod failures;
mod forward;
mod newest;
mod paused;
mod planning;
mod retired;
mod takeover;
mod unfenced;
