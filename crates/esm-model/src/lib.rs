//! The protocol of esm as a model that a checker explores whole: every order of every step of
//! several migrators and writers, with crashes and lost responses at every step.
//!
//! What decides in production decides here: `decisions::next` and `undo`, `JournalState::apply`,
//! `ObjectDocument::follow`, `ChainEnd::carry`, `StreamId::target`, `routing::next_entry`. Modelled,
//! and not production code, are the storage and the order of reads and writes. `docs/model.md` says
//! which is which.
//!
//! | module | idea |
//! |---|---|
//! | `world` | the state: what is stored, what is under way, what each actor remembers |
//! | `action` | everything that may happen next |
//! | `actor` | what migrators, writers and readers do, a step at a time |
//! | `store` | what the storage does with a write, and how the specification follows |
//! | `production` | where the model asks production |
//! | `property` | what must always hold, and what must happen sometimes |
//! | `scope`, `scopes` | who acts and what may go wrong, and how much of it is explored |
//! | `twin`, `twins` | the protocol broken in one place, and where that shows |
//! | `phases` | the published phases, a model of their own |
//!
//! ```
//! use esm_model::{Bounds, Protocol, competing, explore};
//!
//! # fn main() -> esm_core::Result<()> {
//! let mut scope = competing(Bounds::Small);
//! scope.writers.clear();
//! let verdict = explore(Protocol::whole(scope)?, 1);
//! assert!(verdict.holds(), "{verdict}");
//! # Ok(())
//! # }
//! ```

mod action;
mod actor;
mod check;
mod phases;
mod production;
mod property;
mod protocol;
mod scope;
mod scopes;
mod store;
mod twin;
mod twins;
pub mod world;

pub use action::{Action, Actor};
pub use check::{Verdict, explore, refute};
pub use phases::{Board, FINAL, FORWARD, ONE_AT_A_TIME, OTHERS, Phases, PhasesAction, PhasesTwin};
pub use protocol::Protocol;
pub use scope::{Budget, Expect, Hint, Kind, Scope};
pub use scopes::{
    Bounds, all, attempts, beside, commands, competing, deletion, dual_read, flush, fold,
    fold_and_back, in_a_row, lock, lock_losses, losses_in_a_row, lost_answers, mirror, restore,
    reverse, rollback, two_migrators, writers_in_a_row,
};
pub use twin::Twin;
pub use twins::{Case, case, hint_that_is_there, two_migrators_at_once};
