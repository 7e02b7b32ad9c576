//! Event stores of others: streams that stay in the store where their applications keep them.
//!
//! A [`NativeStore`] is the small adapter that a user writes: it reads the recorded entries of a
//! stream from a position on, and appends some at an exact expected position. [`ForeignEventStore`]
//! makes an [`EventStore`](esm_core::store::EventStore) of it: it counts revisions without the entries
//! that are esm's own, keeps the native position in the tail's token, and finds the cells of streams
//! that applications wrote which never heard of esm: each of their events is a cell.
//!
//! A stream can be migrated while it is written to only if nobody appends after its Close. The
//! adapter says how that is certain ([`CloseProof`]); opening the store for writing tests that, and
//! what else a migration rests on. A store that fails can be read, and is refused for migrations
//! with the reason.
//!
//! | file | idea |
//! |---|---|
//! | `native` | what an adapter implements |
//! | `envelope` | an event as type, bytes and JSON metadata, as most stores keep it |
//! | `mark`, `cell` | cells as native entries, and back |
//! | `place`, `places` | which cell begins at which native position: pure, and remembered |
//! | `streams` | finding a cell, reading pages |
//! | `store` | the event store |
//! | `marker`, `self_test`, `probe` | the store's identity, and what it was found to keep |
//! | `adopt` | objects whose streams exist already |

mod adopt;
mod cell;
mod envelope;
mod mark;
mod marker;
mod native;
mod place;
mod places;
mod probe;
mod self_test;
mod store;
mod streams;

pub use adopt::adopt;
pub use cell::{CELL, CLOSE, FENCE};
pub use envelope::Envelope;
pub use native::{CloseProof, Entry, NativeStore, Profile, Recorded, Slice, SliceLimit};
pub use self_test::Finding;
pub use store::ForeignEventStore;
