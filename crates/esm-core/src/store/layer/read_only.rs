//! Refuses writes: what dry runs and read-only commands work on.

use crate::error::{Error, Result};
use crate::store::Capabilities;
use crate::store::layer::{Call, Layer};

/// Refuses every write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadOnly;

impl Layer for ReadOnly {
    type Held = ();

    async fn enter(&self, call: Call) -> Result<()> {
        let write = match call {
            Call::Tail | Call::Read | Call::Latest | Call::Get | Call::List => return Ok(()),
            Call::Append => "append",
            Call::Close => "close a stream",
            Call::Fence => "fence a stream",
            Call::Discard => "discard a stream",
            Call::Put => "put a record",
        };
        let message = format!("store is read-only: cannot {write}");
        Err(Error::unsupported(message))
    }

    fn capabilities(&self, inner: Capabilities) -> Capabilities {
        // a dry run wants to know what would keep the migration from being carried out
        inner.with_discard(false).with_fence(false)
    }
}
