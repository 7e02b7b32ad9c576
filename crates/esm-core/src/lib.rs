//! Migrates event streams to a new schema, a new store or both, while applications read and append.
//!
//! esm (Event Stream Management) is for systems whose state is kept as events. This crate has the
//! model, the traits of storage, the client of applications, and migrations. It contains no storage:
//! see [which crate is for what](#which-crate-is-for-what).
//!
//! # The story
//!
//! An application works with **objects**, such as `order/1003`. Each object has a **stream** of
//! events, and a **document** that names the stream. One day the events need another form: a field
//! is split, an event type is renamed, the store is to be another. Rewriting stored events in place
//! would put data at risk that nobody can rebuild, and nobody can stop the world for a copy.
//!
//! A **migration** writes a second stream instead. It copies the events of the **source** through a
//! [transformation](transform) into a **target**, reads both again and compares them. Meanwhile
//! applications append to the source, and the migration catches up. Then it appends one last cell to
//! the source, the **Close**, which names the target. The Close can be created only directly after
//! the last cell that was copied and compared. If an application appended first, the Close fails,
//! and the migration copies that event too. So no event falls between the two streams.
//!
//! An [`ObjectClient`](router::ObjectClient) follows the Close: the append that was refused by the
//! source succeeds in the target, and the application sees no error. Before the Close a migration
//! can be undone without a trace in the data. After it, a [rollback](migration::RollBackBuilder) is
//! a migration back, which keeps what was appended since.
//!
//! A process may die at any point, and two may run at once without a lock: every step is a
//! conditional write, and the next process continues from what the streams show. The rules of that,
//! and the invariants that they keep, are in [`protocol`].
//!
//! # Quick start
//!
//! A real program opens a store with `esm-objectstore` or `esm-azure`; this one uses the in-memory
//! world of `esm-testkit`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
//! # .unwrap().block_on(async {
//! use esm_core::event::{Event, Schema};
//! use esm_core::id::{EventId, EventType, ObjectId};
//! use esm_core::router::ExpectedRevision;
//! use esm_core::transform::{FunctionTransformer, Transformed};
//! use esm_testkit::memory::MemoryWorld;
//!
//! let world = MemoryWorld::new(esm_testkit::environment(1));
//!
//! // an application appends an event
//! let client = world.client();
//! let order: ObjectId = "order/1003".parse()?;
//! let paid = Event::new(EventId::new("e1")?, EventType::new("Paid")?, r#"{"cents":4200}"#);
//! let appended = client.append(&order, ExpectedRevision::NoStream, vec![paid]).await?;
//!
//! // a migration renames its type
//! let rename = FunctionTransformer::new("rename", 1, [Schema::new("Paid", 1)?], |event, _| {
//!     let event_type = EventType::new("PaymentReceived").expect("a valid name");
//!     Ok(Transformed::Events(vec![Event { event_type, ..event.clone() }]))
//! })?;
//! let service = world.migration_service();
//! let result = service.migrate(order.clone()).transform(rename).execute().await?;
//! assert!(result.is_success());
//!
//! // the application continues where it was, and sees the new events
//! let shipped = Event::new(EventId::new("e2")?, EventType::new("Shipped")?, "{}");
//! client.append(&order, ExpectedRevision::At(appended.next), vec![shipped]).await?;
//! let types = client
//!     .fold(&order, Vec::new, |types, event| types.push(event.event_type.to_string()))
//!     .await?;
//! assert_eq!(types.state, ["PaymentReceived", "Shipped"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # Five types to know
//!
//! | type | for |
//! |---|---|
//! | [`ObjectClient`](router::ObjectClient) | applications: read, append and follow objects, through any migration |
//! | [`EventTransformer`](transform::EventTransformer) | what a migration does with each event; most are a [`FunctionTransformer`](transform::FunctionTransformer) |
//! | [`MigrationService`](migration::MigrationService) | plan, run, watch, steer, resume and roll back migrations |
//! | [`EventStore`](store::EventStore) | storage: with [`Records`](store::Records), [`LockProvider`](store::LockProvider) and [`BackupProvider`](store::BackupProvider), what a provider implements |
//! | [`Error`] | its [kind](ErrorKind) says whether the call may have happened and what to do next |
//!
//! # Which crate is for what
//!
//! | crate | for |
//! |---|---|
//! | `esm-cli` | operators: the command `esm` |
//! | `esm-core` | everybody else: this crate |
//! | `esm-objectstore`, `esm-azure`, `esm-sqlite` | storage on a local directory, S3, GCS, [R2](crate::protocol#r2); on Azure; in a SQLite file |
//! | `esm-cells`, `esm-format` | authors of a provider over any key-value storage with put-if-absent |
//! | `esm-postgres`, `esm-layout` | storage in PostgreSQL; reading the events of other libraries there |
//! | `esm-jq` | transformations as jq programs |
//! | `esm-testkit` | tests: of a transformation, of an application, of a provider |
//! | `esm-model` | the protocol under a model checker; not published |
//!
//! # Glossary
//!
//! The word in italics is the one that a newcomer may know. The complete list is `docs/glossary.md`.
//!
//! | term | meaning |
//! |---|---|
//! | **object** | a business entity, `name/key`, with one active stream; *aggregate, entity* |
//! | **stream** | the ordered, append-only events of one object; *event log* |
//! | **event** | a fact: id, type, schema version, opaque payload, metadata; *domain event, message* |
//! | **revision** | the 0-based place of an event in its stream; *sequence number, offset* |
//! | **position** | a stream and a number of events before the place; *expected version, resume token* |
//! | **cell** | one atomic write to a stream, never updated; *batch, commit* |
//! | **tail** | the observed end of a stream, which an append expects; *head, end offset* |
//! | **document** | the record that names an object's streams, derived from them; *catalogue entry* |
//! | **journal** | the durable record of a migration; *saga log* |
//! | **epoch** | the number of the journal's holder; *term* |
//! | **phase** | how applications read and write an object in migration; *rollout state* |
//! | **cursor** | how many source events a target is complete for; *checkpoint* |
//! | **Close** | the cell that ends a stream and names its successor; *redirect, seal* |
//! | **pivot** | the Close as a step: after it a migration can only be completed; *point of no return* |
//! | **Fence** | the cell that forbids one attempt to close the stream; *abort marker* |
//! | **retired schema** | a schema that a transformation changes or drops; *deprecated event version* |
//! | **fingerprint** | the identity of a transformation; *content hash, version tag* |

pub mod backoff;
pub mod backup;
pub mod clock;
mod cutover;
pub mod doctor;
pub mod error;
pub mod event;
pub mod id;
pub mod migration;
pub mod object;
mod progress;
pub mod protocol;
pub mod recovery;
pub mod repair;
pub mod router;
pub mod store;
pub mod transform;

pub use error::{Error, ErrorKind, Result};
pub use event::difference::difference;
pub use event::rolling_hash::RollingHash;
