//! The application's side: loading, reading and appending through migrations, on the in-memory
//! fakes.

mod ambiguity;
mod append;
mod between;
mod by_hand;
mod chains;
mod cutover;
mod dual_reads;
mod interleaving;
mod live;
mod mirror;
mod phases;
mod read;
mod retired;
mod saga;
mod shadow_reads;
mod stale_phases;
mod tails;
