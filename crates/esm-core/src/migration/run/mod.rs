//! The execution of a migration: the process, its scope, each object, and the undo.
//!
//! | module | responsibility |
//! |---|---|
//! | `process` | lock, journal and context of a run; takes over an unfinished one |
//! | `earlier` | refuses to begin while an earlier migration of the same objects is unfinished |
//! | `drive` | runs to the end or to the undo, and records the outcome |
//! | `scope` | the objects of the scope, in batches: [`ScopeRun`](scope::ScopeRun) |
//! | `each` | one object of a batch: lock check, migration, undo on failure |
//! | `triage` | decides whether an object is to be migrated, finished or skipped |
//! | `object` | one object to the end of its migration: [`ObjectRun`](object::ObjectRun) |
//! | `undo` | the undo of all objects before their pivots: [`UndoRun`](undo::UndoRun) |

pub(crate) mod drive;
pub(crate) mod each;
pub(crate) mod earlier;
pub(crate) mod object;
pub(crate) mod process;
pub(crate) mod scope;
pub(crate) mod triage;
pub(crate) mod undo;
