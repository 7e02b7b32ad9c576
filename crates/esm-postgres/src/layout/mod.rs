//! The events of another library, read where they are.

mod absent;
mod catalogue;
mod choose;
mod global;
mod native;
mod records;
mod row;
mod store;
mod streams;

pub use catalogue::{LayoutTables, describe_table};
pub use choose::layout_named;
pub use global::GlobalEvent;
pub(crate) use row::{EventColumns, Rows};
pub use store::LayoutStore;
pub(crate) use streams::LayoutStreams;
