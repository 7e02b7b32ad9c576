//! A web page on which people see what migrations do, understand them, and steer them.
//!
//! A [`Console`] is one more reader of the records that exist: journals, locks, published progress,
//! documents. It runs no migration, and its commands are those of `esm`, so it cannot break what makes
//! migrations safe. It knows no provider: it is given opened stores.
//!
//! ```
//! use esm_console::{Console, ConsoleOptions, Source};
//! use esm_testkit::memory::MemoryWorld;
//!
//! let world = MemoryWorld::new(esm_testkit::environment(1));
//! let source = Source::new("memory:", world.event_store(), world.records(), world.locks());
//! let console = Console::new(vec![source], ConsoleOptions::new().listening("127.0.0.1:8080".parse()?))?;
//! let link = format!("http://127.0.0.1:8080/#code={}", console.code());
//! let service: axum::Router = console.into_service(); // mount it, or give it to `serve`
//! # drop((link, service));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! 1. No `GET` changes anything in a store.
//! 2. Without [`allow_control`](ConsoleOptions::allow_control) there is no route that does.
//! 3. Requests to other names, of nobody who is signed in, or of other origins get nothing.
//! 4. A page costs a bounded number of storage requests, however large the store is, and as many for
//!    fifty viewers as for one.
//! 5. A number is shown with its age, and what is not known as not known.

mod access;
mod api;
mod assets;
mod cache;
mod console;
mod control;
mod failure;
mod live;
mod metrics;
mod model;
mod options;
mod page;
mod payload;
mod places;
mod serve;
mod shared;
mod source;
mod upkeep;

pub use access::TrustedProxy;
pub use console::Console;
pub use options::ConsoleOptions;
pub use serve::serve;
pub use source::Source;
