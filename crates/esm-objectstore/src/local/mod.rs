//! A local directory as an object store whose writes survive a loss of power.

mod directory;
mod durable;
mod sweep;

pub(crate) use directory::LocalDirectory;
pub(crate) use sweep::sweep_staging_files;
