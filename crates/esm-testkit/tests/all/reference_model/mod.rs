//! The fakes behave like tiny models of themselves, under any sequence of calls.
//!
//! A test gets a model in its state after the call, so each model keeps the expected result.

mod backups;
mod event_store;
mod lock;
mod models;
mod records;
