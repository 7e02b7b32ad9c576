//! A local directory as an object store whose writes survive a loss of power.

mod calls;
mod directory;
mod disk;
mod durable;
mod entries;
mod staging;
#[cfg(test)]
mod stalls;
mod sweep;
mod upload;

pub(crate) use directory::LocalDirectory;
pub(crate) use sweep::sweep_staging_files;
