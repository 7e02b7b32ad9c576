//! Crashes, lost responses and races while restoring.

mod races;
mod scene;
mod sweeps;
