//! What the commands and the console of esm show, as documents.
//!
//! A document is what a command prints as JSON or as text, and what the console shows as a page and
//! serves below `/api/v1`: so a program reads the same from both. This crate loads the documents;
//! it writes nothing and knows neither a terminal nor HTTP.
//!
//! | module | contents |
//! |---|---|
//! | [`migration`] | the state of migrations: what each does now, and what it waits for |
//! | [`object`] | an object with its streams |
//! | [`lock`], [`backup`] | held locks; backups and archives |
//! | [`doctor`] | what is damaged, left behind or unfinished, and what mends it |
//! | [`diff`] | the difference between two events, field by field |
//! | [`units`] | numbers for people |

pub mod backup;
pub mod diff;
pub mod doctor;
pub mod lock;
pub mod migration;
pub mod object;
mod seconds;
pub mod units;

pub use seconds::InSeconds;
