//! Transformations of events with jq programs, from outside.

mod compile_errors;
mod events;
mod identity;
mod language;
mod limits;
mod loan;
mod outputs;
