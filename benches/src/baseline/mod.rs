//! What the storage itself takes: the same bytes, files and directories, with no esm in between.

mod compress;
mod create;
mod recompress;

pub(crate) use compress::compress_to_file;
pub(crate) use create::{create_files, files, new_files};
pub(crate) use recompress::recompress;
