//! Sweeps reject storage that is deliberately broken: each defect by its violation. Otherwise a sweep
//! that finds nothing would not show that there is nothing to find.

mod backups;
mod event_stores;
mod records;
mod rejected;
