//! The upcasters of a directory.

use std::path::Path;

use esm_core::Result;
use esm_core::transform::Upcasters;
use esm_jq::compile_upcasters;

use crate::args::Global;
use crate::migration::read_upcasters;

/// Reads and checks the upcasters of a directory.
///
/// # Errors
/// Those of reading, compiling and checking them.
pub(super) async fn checked(directory: &Path, global: &Global) -> Result<Upcasters> {
    let program = read_upcasters(directory).await?;
    compile_upcasters(program.files(), global.masking_key().await?.as_ref())
}
