//! Transformations: what happens to each event on its way from source to target.
//!
//! An [`EventTransformer`] is selected by (type, schema version) and turns one event into none, one
//! or several. Most are a [`FunctionTransformer`]; a [`CompositeTransformer`] picks one of several
//! by schema; [`Upcasters`] bring old versions to the newest one, step by step; a
//! [`TransformationPipeline`] applies stages in sequence; a [`Masking`] masks personal data.
//! Whatever the transformer, the [`Mapper`] is the one place that applies it: it settles ids, drops
//! and failures, and the [`Ledger`] counts the outcomes.
//!
//! Transformers see one event at a time and do no I/O. So the verification can transform everything
//! a second time and compare.

mod counts;
#[cfg(test)]
mod fixtures;
mod mapper;
mod masking;
mod samples;
mod transformer;
mod transformers;

pub(crate) use counts::SchemaAnalysis;
pub use counts::{EventCounts, Ledger};
pub use mapper::{Failure, Fate, Mapped, Mapper};
pub(crate) use masking::MaskingSurvey;
pub use masking::{
    AlikeField, DateUnit, MaskKind, MaskedField, Masking, MaskingFindings, MaskingKey, Masks,
};
pub(crate) use samples::Samples;
pub use samples::{EventSample, SampleOutcome, SampledEvent};
pub use transformer::{EventTransformer, Identity, TransformContext, TransformError, Transformed};
pub(crate) use transformers::composed_fingerprint;
pub use transformers::{
    CompositeTransformer, FunctionTransformer, TransformationPipeline, TypedFunction, TypedOutputs,
    UpcasterGraph, UpcasterStep, Upcasters, UpcastersBuilder,
};
