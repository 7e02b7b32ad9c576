//! The state of one run, in four parts.
//!
//! | part | responsibility |
//! |---|---|
//! | [`Services`] | stores, documents, records, locks, backup providers, environment |
//! | plan | the migration as planned, with its transformation and checks |
//! | [`Live`] | state shared with operator commands and user callbacks, and the progress |
//! | [`Guard`] | ends the run on request, on loss of the lock, or when another holder takes over |
//!
//! [`Context`] holds all four and implements the cutover's supervisor.

mod cutover;
mod guard;
mod live;
mod services;
mod shared;

pub(crate) use guard::{Guard, Stop};
pub(crate) use live::{Live, Waiting};
pub(crate) use services::Services;
pub(crate) use shared::Context;
