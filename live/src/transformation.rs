//! The transformation that the migrations apply: that of the demo.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use esm_core::transform::EventTransformer;
use esm_jq::JqTransformer;

/// What the program is called.
pub(crate) const NAME: &str = "orders.jq";

/// The program's file, for `esm`.
pub(crate) fn path() -> PathBuf {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    examples.join(NAME)
}

/// The program.
pub(crate) fn program() -> Result<String> {
    let path = path();
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The program, compiled.
pub(crate) fn transformer() -> Result<Arc<dyn EventTransformer>> {
    Ok(Arc::new(JqTransformer::compile(NAME, &program()?)?))
}
