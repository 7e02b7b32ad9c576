//! Rewriting events in place: in the tables of another library, under their own numbers.
//!
//! Only type, schema version, payload and metadata change, and only in the rows of events that a
//! transformation changes. Applications that know nothing of esm continue to write.
//!
//! - **The swap.** The rows of a stream are read and transformed. Then one message to the server
//!   begins a transaction, reads the claim, locks the rows, compares each whole row with what was
//!   read, updates it, compares what is stored with what was meant, writes both to the archive, and
//!   commits. A mismatch raises an error, so that nothing is committed. No client can stop between two
//!   of these steps.
//! - **The fence.** A migration holds the claim of the table, with an epoch. Whoever continues a
//!   migration raises the epoch; each swap reads the claim `FOR SHARE` until its commit. A process
//!   that was frozen meanwhile commits nothing.
//! - **The archive** holds what each swap read and wrote, in the same transaction. It says which rows
//!   are done, so a migration continues after a crash at any point, and it is what an undo restores.
//!
//! - **Refusing old code**, where it is asked for, is the only thing that is installed in the table:
//!   a trigger on inserts of the schemas that the migration retires.
//!
//! Claims, migrations and the archive are tables of the schema `esm_in_place`, for all tables of the
//! database.

mod altered;
mod archive;
mod catalogue;
mod change;
mod checks;
mod claim;
mod commands;
mod control;
mod drops;
mod lag;
mod migration;
mod older;
mod pass;
mod place;
mod put_back;
mod refuse;
mod restore;
mod run;
mod schema;
mod selected;
mod shared;
mod statements;
mod steering;
mod surroundings;
mod swap;
mod transformer;
mod undo;
mod wire;

pub use archive::Archive;
pub use lag::Behind;
pub use migration::{Description, Rewrite, RewriteStatus};
pub use place::InPlace;
pub use run::{Running, Settled};
pub use selected::Pass;
pub use shared::InPlaceOptions;
pub use surroundings::Surroundings;
pub use undo::Undone;
