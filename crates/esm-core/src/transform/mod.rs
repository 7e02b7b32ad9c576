//! Transformations: what happens to each event on its way from source to target.

mod transformer;

pub use transformer::{EventTransformer, Identity, TransformContext, TransformError, Transformed};
