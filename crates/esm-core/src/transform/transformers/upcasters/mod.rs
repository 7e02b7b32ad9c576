//! Upcasters: single steps from one version of a type to a later one, composed into one
//! transformer.
//!
//! - `builder`: collects the steps;
//! - `graph`: checks that each version has exactly one way to the newest one of its type;
//! - `draw`: draws the graph as text, for Mermaid and for Graphviz;
//! - `step`: applies one step, and checks what it gives;
//! - `transformer`: takes each event along its way.

mod builder;
mod draw;
mod graph;
mod step;
mod transformer;

pub use builder::UpcastersBuilder;
pub use graph::{UpcasterGraph, UpcasterStep};
pub use transformer::Upcasters;

#[cfg(test)]
mod tests;
