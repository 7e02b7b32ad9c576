//! The transformers: a function, one over typed payloads, upcasters, and those that are made of
//! others.

mod composite;
mod composition;
mod function;
mod pipeline;
mod typed;
mod upcasters;

pub use composite::CompositeTransformer;
pub(crate) use composition::composed_fingerprint;
pub use function::FunctionTransformer;
pub use pipeline::TransformationPipeline;
pub use typed::{TypedFunction, TypedOutputs};
pub use upcasters::{UpcasterGraph, UpcasterStep, Upcasters, UpcastersBuilder};
