//! Files of lines for import and export: plain, gzip or zstd.

mod content;
mod flushed;
mod members;
mod packing;
mod reader;
mod writer;

pub use content::Content;
pub use packing::Packing;
pub use reader::{Line, LineReader, is_utf16, utf16};
pub use writer::LineWriter;
