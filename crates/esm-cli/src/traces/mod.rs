//! Traces of what a command does, for a collector of OpenTelemetry.

#[cfg(not(feature = "otlp"))]
mod absent;
#[cfg(feature = "otlp")]
mod sent;

use tracing_subscriber::{Layer, Registry};

#[cfg(not(feature = "otlp"))]
pub(crate) use absent::Traces;
#[cfg(feature = "otlp")]
pub(crate) use sent::Traces;

/// Receives the spans of this process.
pub(crate) type Spans = Box<dyn Layer<Registry> + Send + Sync>;
