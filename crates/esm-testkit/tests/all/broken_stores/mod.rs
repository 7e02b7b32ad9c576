//! The suites reject stores that are deliberately broken, by the case that is there for it.

mod backups;
mod damage;
mod event_stores;
mod judge;
mod locks;
mod records;
