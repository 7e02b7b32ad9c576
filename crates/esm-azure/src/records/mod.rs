//! Records: small ones in one blob each, journals as numbered blobs.

mod page;
mod pages;
mod provider;

pub(crate) use provider::BlobRecords;
