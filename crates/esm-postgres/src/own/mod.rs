//! A store of esm's own in a schema of a database: objects as rows.

mod failure;
mod objects;
mod open;
mod parts;
mod range;
mod rows;
mod schema;
mod statements;
#[cfg(all(test, unix))]
mod sweeps;

pub use open::{is_store_address, open_or_create_store, open_store, open_unmarked_store};
