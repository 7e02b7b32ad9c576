//! What pages show, loaded from stores.
//!
//! A load costs a bounded number of requests, however large the store is: see each file.
//!
//! | file | what |
//! |---|---|
//! | `board` | the migrations of a store |
//! | `migration` | one migration, with its history |
//! | `under_way` | the objects that it works on, with their phases and lags |
//! | `history` | the versions of its published progress, thinned out |
//! | `preview` | what its transformation does to the first events of a few objects |
//! | `saved` | the samples of a saved plan |
//! | `object` | an object, and a page of its events |
//! | `objects` | objects by name and the beginning of their key |
//! | `locks`, `backups` | held locks; backups and archives, by place |
//! | `verifications` | backups that are verified from the browser |

mod backups;
mod board;
mod history;
mod locks;
mod migration;
mod object;
mod objects;
mod preview;
mod saved;
mod under_way;
mod verifications;

pub(crate) use backups::{BackupPlace, BackupsLoad};
pub(crate) use board::{Board, BoardLoad};
pub(crate) use history::{History, Point};
pub(crate) use locks::LocksLoad;
pub(crate) use migration::{MigrationLoad, MigrationView};
pub(crate) use object::{EventPage, EventPageLoad, EventQuery, ObjectLoad, ShownEvent};
pub(crate) use objects::{ObjectList, ObjectListLoad, ObjectQuery};
pub(crate) use preview::{Preview, PreviewLoad, SchemaTally};
pub(crate) use saved::SavedPlanLoad;
pub(crate) use under_way::{PAGE as OBJECTS_OF_PAGE, UnderWay, UnderWayLoad};
pub(crate) use verifications::{BackupAt, Verification, Verifications};
