//! The transformations: that of the demo, and one back.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use esm_core::transform::EventTransformer;
use esm_jq::JqTransformer;

/// What the program of a migration is called.
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

/// The transformation of a migration.
pub(crate) fn up() -> Result<Arc<dyn EventTransformer>> {
    Ok(Arc::new(JqTransformer::compile(NAME, &program()?)?))
}

/// The file of the program of a rollback, for `esm`.
pub(crate) fn path_down() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/down.jq")
}

/// That of a rollback after the cutover: what new code has written becomes what old code knows.
pub(crate) fn down() -> Result<Arc<dyn EventTransformer>> {
    let program = include_str!("down.jq");
    Ok(Arc::new(JqTransformer::compile("down.jq", program)?))
}
