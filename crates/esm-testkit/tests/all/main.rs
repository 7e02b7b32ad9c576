//! The tests of esm-testkit itself. They are one binary, because each binary takes seconds to link.

mod broken_stores;
mod conformance;
mod faults;
mod history;
mod native_store;
mod not_tested;
mod observer;
mod reference_model;
mod restored;
mod sweeps;
mod world;
