//! What a doctor finds is mended, whatever happens meanwhile, and nothing else is changed.

mod left;
mod rivals;
mod scene;
mod sweeps;
