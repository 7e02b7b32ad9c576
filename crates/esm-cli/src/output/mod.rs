//! Output: text for people, JSON for programs, errors for both.
//!
//! Text for people is a [`Text`], which escapes what it is made of and gives lines a [`Style`]. JSON is
//! exact.

mod failure;
mod stdout;
mod style;
mod table;
mod text;
mod usage;
mod wrap;
mod writer;

pub(crate) use esm_view::InSeconds;
pub(crate) use esm_view::units::{
    bytes, count, counted, duration, remaining, shortened, to_the_second,
};

pub(crate) use failure::ErrorReport;
pub(crate) use style::Style;
pub(crate) use table::{Facts, Form, Table};
pub(crate) use text::{Escaped, Text};
pub(crate) use usage::usage;
pub(crate) use wrap::{cut, stderr_width, width_of};
pub(crate) use writer::{Output, OutputFormat, short_id, to_stderr};
