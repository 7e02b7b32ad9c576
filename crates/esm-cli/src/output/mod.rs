//! Output: text for people, JSON for programs, errors for both.

mod failure;
mod table;
mod units;
mod writer;

pub(crate) use failure::ErrorReport;
pub(crate) use table::{Facts, Table};
pub(crate) use units::{bytes, count, counted, duration, shortened};
pub(crate) use writer::{Output, OutputFormat};
