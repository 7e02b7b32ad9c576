//! The journal of a migration, appended by compare-and-swap.

mod log;

pub(crate) use log::Journal;

#[cfg(test)]
mod tests;
