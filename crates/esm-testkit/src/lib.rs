//! What esm is tested with, and what you test your own parts with: in-memory fakes, fault injection,
//! conformance suites and sweeps.
//!
//! It is for tests, as a dev-dependency: of a transformation and its migration, of a provider, of an
//! adapter of your own event store, of an application that appends while its streams move. It is not
//! for production: the fakes keep everything in memory, and time passes only when a test lets it.
//! It has no benchmarks, and no real store: `containers` (a feature) starts local servers, never a
//! cloud service.
//!
//! # A migration, tested
//!
//! [`World`] runs your transformation and migration again and again, with writers, crashes and lost
//! responses, and checks the protocol's invariants after every storage operation:
//!
//! ```
//! use esm_core::event::Event;
//! use esm_testkit::{Rule, Rules, World, events};
//!
//! let two_instalments = Rules::new([("Paid", Rule::Split(2))]).declaring();
//! World::new(two_instalments)
//!     .object("order/1", events("e", ["Paid", "Paid"]))
//!     .folds(|old: &[Event]| old.len(), |new: &[Event]| new.len() / 2, |old, new| old == new)
//!     .runs(8)
//!     .check();
//! ```
//!
//! # What is where
//!
//! | you test | use |
//! |---|---|
//! | a transformation and its migration | [`World`] |
//! | a provider: a store, lock, backup or records | the suites of [`conformance`] |
//! | an adapter of your own event store | these suites, [`faults`] below it, [`sweep::Place`] |
//! | code that uses the traits | the fakes of [`memory`], with [`faults`] and [`mod@record`] |
//! | a saga, or one scenario of it | [`sweep`], [`sweep::chaos()`] |
//! | a writer | [`observe::History`], [`record::RecordedClient`] |
//! | a provider that speaks to a server | `containers`, [`intercept`] |
//!
//! - [`memory`] has a fake of every trait of [`esm_core::store`], and of native stores, small enough
//!   to be read as the executable specification of the traits' numbered guarantees.
//! - [`environment()`] makes time, ids and randomness deterministic; [`event()`] makes an event.
//! - [`faults`] makes calls fail, lose their responses, happen twice, stall, or crash their caller.
//! - [`frozen`] stops processes at each step of their storage while others clean up and write.
//! - [`observe`] checks the protocol's invariants after every operation, and histories.
//! - [`strategies`] generates names, events, streams, workloads, transformations and faults.
//! - [`tap`] decorates every trait once; [`faults`] and [`mod@record`] are taps.
//! - [`intercept`] sends the responses that no local server sends.
//!
//! `docs/testing.md` shows each of them at work.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/testing.md")]
struct Guide;

pub mod conformance;
#[cfg(all(feature = "containers", unix))]
pub mod containers;
pub mod damage;
mod environment;
mod events;
pub mod faults;
pub mod frozen;
pub mod intercept;
pub mod memory;
mod not_tested;
pub mod observe;
pub mod record;
mod rules;
pub mod strategies;
pub mod sweep;
pub mod tap;
mod world;

pub use environment::{ManualClock, SeededRandomness, SteppedClock, environment};
pub use events::{event, events, ids};
pub use not_tested::not_tested;
pub use rules::{Rule, Rules};
pub use world::{World, WorldOutcome};
