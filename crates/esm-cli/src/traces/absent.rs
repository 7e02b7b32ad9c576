//! Without the feature `otlp`: nothing is sent.

use esm_core::{Error, Result};
use tokio::runtime::Handle;

use super::Spans;
use crate::output::Output;

/// No traces.
#[derive(Debug)]
pub(crate) struct Traces;

impl Traces {
    /// # Errors
    /// `Unsupported` where a collector is given.
    pub(crate) fn start(collector: Option<&str>, _: &Handle) -> Result<Self> {
        match collector {
            None => Ok(Self),
            Some(_) => Err(
                Error::unsupported("this esm was built without traces").with_hint(
                    "install it with `cargo install esm-cli --features otlp`, or omit --otlp",
                ),
            ),
        }
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn spans(&self) -> Option<Spans> {
        None
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn end(self, _: &Output) {}
}
