//! Transformations of event streams as jq programs.
//!
//! A [`JqTransformer`] applies a jq program to each event, seen as a CloudEvents JSON object: no
//! output drops the event, one changes it, several split it.
//!
//! ```
//! use esm_core::event::{Event, Revision};
//! use esm_core::id::{EventId, EventType};
//! use esm_core::transform::{EventTransformer, TransformContext, Transformed};
//! use esm_jq::JqTransformer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rename = JqTransformer::compile(
//!     "orders.jq",
//!     r#"if .type == "Placed" then .type = "OrderPlaced" | .schemaversion = 2 end"#,
//! )?;
//! let object = "order/7".parse()?;
//! let event = Event::new(EventId::new("1")?, EventType::new("Placed")?, r#"{"total":1.10}"#);
//! let context = TransformContext::new(&object, Revision(0));
//! let Transformed::Events(events) = rename.transform(&event, &context)? else {
//!     panic!("it was renamed");
//! };
//! assert_eq!(events[0].event_type.as_str(), "OrderPlaced");
//! assert_eq!(events[0].payload, event.payload);
//! # Ok(())
//! # }
//! ```
//!
//! [`compile_upcasters`] composes programs that each bring one type from one version to the next.
//!
//! A [`JqMap`] makes events of records that are none yet: rows of a table, lines of another store's
//! export.
//!
//! `docs/transformations.md` describes how to write such programs, what is absent, and what happens
//! to ids, bytes and numbers.
//!
//! This crate knows no files, no network and no clock: the caller reads the program.

mod attempts;
mod budget;
mod diagnostic;
mod fail;
mod input;
mod ir;
mod lower;
mod machine;
mod map;
mod mapped;
mod masks;
mod meaning;
mod natives;
mod output;
mod precedence;
mod prelude;
mod program;
mod reach;
mod retired;
mod syntax;
mod transformer;
mod upcasters;
mod value;
mod versions;

pub use diagnostic::Excerpt;
pub use map::JqMap;
pub use mapped::MappedEvent;
pub use transformer::JqTransformer;
pub use upcasters::{MAX_UPCASTER_BYTES, compile_upcasters};
