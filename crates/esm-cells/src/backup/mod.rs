//! Backups: data files, then a manifest that makes them a backup.

mod files;
mod manifest;
mod provider;
mod streams;

pub(crate) use provider::ObjectBackups;
