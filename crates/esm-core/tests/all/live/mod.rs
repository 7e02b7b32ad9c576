//! Migrations that are steered, watched and slowed down while applications write, on the fakes.

mod commands;
mod cutover;
mod dead_holders;
mod eta;
mod few_answers;
mod held_lock;
mod hooks;
mod late_undo;
mod lock_loss;
mod phases;
mod running;
mod superseded;
mod throttle;
mod writers;
