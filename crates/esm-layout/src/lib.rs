//! The tables in which libraries of event sourcing keep events, described as data.
//!
//! A [`Layout`] says in which columns a database keeps streams, numbers, types and payloads. The
//! layouts of known libraries are [built in](BuiltIn); another one is a TOML file. The crate
//! connects to no database: it compares a layout with a description of tables ([`Table`]) and
//! writes the SQL that reads them ([`Queries`]).
//!
//! ```
//! use esm_layout::{BuiltIn, Layout};
//!
//! let layout = BuiltIn::find("cqrs-es").expect("it is built in").layout();
//! assert_eq!(layout.events.key, ["aggregate_type", "aggregate_id"]);
//! let text = BuiltIn::find("cqrs-es").expect("it is built in").text();
//! assert_eq!(Layout::parse(text)?, layout);
//! # Ok::<(), esm_core::Error>(())
//! ```

mod built_in;
mod catalogue;
mod draft;
mod event_table;
mod fit;
mod layout;
mod listing;
mod object;
mod queries;
mod sql;
mod tables;
mod version;

pub use built_in::BuiltIn;
pub use catalogue::{Column, Table, TableKind, UniqueIndex};
pub use draft::draft;
pub use event_table::{EventTable, TypedColumn};
pub use fit::{Finding, Fit, Verdict};
pub use layout::{Events, Layout, ObjectRule, Qualifier, Streams};
pub use listing::ListedPage;
pub use object::StreamKey;
pub use queries::Queries;
pub use sql::literal;
pub use version::{is_plain_version, schema_version};
