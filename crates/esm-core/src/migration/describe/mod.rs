//! Builders: describe a migration, a resumption or a rollback, check it, and start it.

pub(crate) mod builder;
pub(crate) mod checks;
mod entry;
pub(crate) mod options;
pub(crate) mod resume;
pub(crate) mod rollback;
pub(crate) mod run_methods;
