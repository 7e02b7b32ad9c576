//! Migrations that are steered, watched and slowed down while applications write, on the fakes.
#![expect(
    clippy::unwrap_used,
    reason = "a test says by panicking what went wrong"
)]

mod commands;
mod cutover;
mod fixture;
mod held_lock;
mod hooks;
mod late_undo;
mod lock_loss;
mod phases;
mod throttle;
mod writers;
