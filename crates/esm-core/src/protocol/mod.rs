//! The protocol: what a migration may do next, and the rules and invariants that this keeps.
//!
//! Everything here is pure: no I/O, no clock, no randomness, no `async`. A decision takes what was
//! observed and returns what to do. The code that awaits is elsewhere: it observes the streams, asks
//! for one decision, does that one thing, and observes again. So a crash, a lost response and a
//! second migrator are no special cases, and every pair of state and event can be tested.
//!
//! | module | decides |
//! |---|---|
//! | [`decisions`] | the next action of an attempt, and of its undo |
//! | [`gate`] | when a source that is ready may be closed |
//! | [`phase`], [`routing`] | the phases that applications see, and the next routing entry |
//! | [`journal`] | which record may follow which, and the state that the records add up to |
//! | [`control`] | the answer to an operator's command, and the settings in force |
//! | [`plan`] | nothing: the durable part of a plan |
//! | [`statistics`], [`status`] | nothing: what a migration counted, and what it is doing |
//!
//! # Stability
//!
//! The module is public for the model checker (`esm-model`) and for `esm-testkit`. The records are
//! durable formats and stay readable. The decision functions and their arguments may change in any
//! release. Applications use [`migration`](crate::migration), which re-exports the types that they
//! need.
//!
//! # Safety in three conditional writes
//!
//! A stream is a sequence of numbered cells, each created only if its number is free. The **source**
//! is open until it contains a **Close**, and nothing ever follows a Close. A migration fills a
//! **target**, compares it with the source, and creates the Close at exactly the tail that it
//! compared. The Close is the **pivot**: before it everything can be undone, after it the migration
//! can only be completed. Safety rests on three conditional writes, and on no lock and no clock:
//!
//! 1. Every batch to the target is appended at the target's exact tail. The **cursor**, the number
//!    of source events that the target is complete for, is in the same cell.
//! 2. The Close is appended at the exact tail of the source. It holds N, the number of the source's
//!    events, and M, the number of the target's.
//! 3. Every journal record is created once, under its number.
//!
//! The wording of the rules is that of `docs/protocol.md`, which adds the steps, the crash table and
//! the costs. Code, tests and other pages cite rules and invariants by number.
//!
//! # Rules
//!
//! Each rule exists because the model or a review found the interleaving that breaks without it.
//!
//! ## Copying
//!
//! ### R1
//!
//! **The target's tail is read before the source's.** A target whose last cell has no cursor
//! already belongs to applications: another process has closed the source to it. The migrator then
//! reads the source again. A missing cursor means 0 only in an empty target.
//!
//! ### R2
//!
//! **The target's first cell names its origin**: source, migration, attempt, transformation and the
//! retired schemas ([R11](#r11)). It is written for an empty source too. Cursors never go back. A
//! batch that is dropped as a whole is a cell with a cursor and no events. A mirror ([R16](#r16))
//! never writes the first cell.
//!
//! ### R3
//!
//! **All outputs of one source event are in one cell.** Transformations are deterministic and see
//! one event at a time; ids of derived events follow from the source event. Outputs that do not fit
//! into a cell are refused by the analysis; a later one stops the migration before the Close
//! (`TooLarge`). The fingerprint of the transformation is stored in the target, so a target is
//! never continued with another transformation: that attempt is fenced and a new one begins.
//!
//! ### R4
//!
//! **Every control cell of the source is examined before the Close.** Each cell names the last
//! control cell before it, so the chain is walked from the closing tail. The migration closes the
//! source only if it finds neither a Close nor a Fence that names its target.
//!
//! ### R5
//!
//! **A migrator that finds the source closed to another stream is superseded.** It finishes that
//! stream's document and discards its own target.
//!
//! ### R6
//!
//! **Close attempts that lose to concurrent appends are bounded, with back-off.** Where phases are
//! published, clients slow down: while an object is being cut over, each append to it waits for
//! about 50 ms, jittered, so that the migrator gets its turn to close. One cutover delays appends
//! for at most ten seconds. esm never closes a stream with a gap.
//!
//! ### R24
//!
//! **The journal is read after the target's first cell was acknowledged and before the Close.** A
//! higher epoch or an undo stops the holder. An undo claims the journal first and looks for begun
//! targets second. The two orders together keep a frozen holder from closing a source that was
//! rolled back. One read may serve several objects, if each of their first cells was acknowledged
//! before the read was sent. The read may overlap the comparison. It is never skipped.
//!
//! ## Appending
//!
//! ### R7
//!
//! **An append is one storage write while nothing migrates.** It creates the cell after one that
//! the client has read or written. A Close names the last cell of its target. That is a hint: a
//! search for the target's end begins there, and the end is what was read.
//!
//! ### R8
//!
//! **Expected positions name their stream.** A position at the end of a closed stream continues at
//! the Close's place in the target; an older one is a conflict. Over a restore positions do not
//! continue ([R19](#r19)). A bare revision is not accepted: after a migration the same number may
//! be another place. `NoStream` on an object that exists is `AlreadyExists`.
//!
//! ### R9
//!
//! **An append that expects nothing (`Any`) follows a Close in any case** and uses the target's
//! tail. It settles each cell that it has sent before it sends the next.
//!
//! ### R10
//!
//! **An append with an unknown outcome is settled first.** The client reads the cell that it tried
//! to create before it tries anything else. If the cell is absent, the same bytes are sent to the
//! same cell. If it has the client's commit id, the append succeeded. Only another's cell permits
//! the next number, or following a Close. So a retry cannot duplicate an event over a cutover. A
//! retry without the token of the ambiguous append is not deduplicated.
//!
//! ### R11
//!
//! **Schemas that a transformation changes or drops are retired** in its target, and in the targets
//! of later migrations, unless one of them produces them again. The target's first cell names them.
//!
//! An append of a retired schema goes through the transformation if the application has registered
//! it; code that is several migrations behind goes through all of them, or through a later one that
//! is known to include the earlier ones. Otherwise the plan's choice decides, which is stored in the
//! target's first cell: *refuse* (the default; the error names the schema and the migration), or
//! *accept unchanged* (the event is stored as it is, and counted).
//!
//! A transformation that changes events and keeps their type and schema version makes old and new
//! code indistinguishable. Then nothing is transformed, and the choice must be made explicitly.
//!
//! ### R12
//!
//! **Appenders and migrators help.** A writer that meets a Close whose document still names the
//! closed stream updates the document by compare-and-swap, to the end of the chain. So a migrator
//! that dies right after the pivot blocks nobody. A document is never created this way. Readers
//! never write.
//!
//! ### R13
//!
//! **A Close names the target's store by its random id.** It is followed only if the target's first
//! cell names the source and the migration; otherwise the error is `UnknownStore`, which can be
//! retried. So a configuration that gives another bucket the same name cannot fork a stream. A
//! target without a first cell is lost, and `Gone` ([R14](#r14)). Before the pivot, the target's
//! store must be in the source store's list of known stores. A chain may have any length; a stream
//! that occurs twice in it is corruption. A copy of a store that was given an id of its own has the
//! original's id as an alias: an id means the store whose own id it is, otherwise the one that has
//! it as an alias. Two open stores with one id are refused.
//!
//! ## Reading
//!
//! ### R14
//!
//! **A reader that reaches a Close continues in the target.** A cell that is absent or a tombstone
//! below a known seq is `Gone`, never the end. The same holds for a stream that has less than is
//! known of it. A Close counts the events of its stream (N) and of its target (M), and the document
//! repeats both. So a target with fewer than M events, or without any cell, has lost some. So has a
//! stream with fewer than N events, or without a Close, that the document names as closed. All
//! these events were acknowledged before the Close was written. Therefore no race looks like a
//! loss. Every reader, writer and migrator refuses such a stream; only a restore accepts it, to
//! replace it.
//!
//! ### R15
//!
//! **A dual read returns what the source had at its tail.** It takes the source's tail h and
//! returns the target's events that stem from source events before h, together with the position
//! (source, h). So an append decides on exactly what was read. What the target lacks is transformed
//! from the source. Where that is not possible, or the target was fenced off, or the source is
//! closed, the read uses the source as in phase *normal*. Shadow reads return the source's events
//! and compare them with the target's.
//!
//! ## Mirroring
//!
//! ### R16
//!
//! **A mirror writes to the target what the source has acknowledged**, as the copier would: at the
//! target's exact tail, only if the target is complete for exactly what came before, with the new
//! cursor in the same cell, never the first cell, and only with the same fingerprint. Mirroring is
//! off for events that do not become exactly one event. The append has succeeded whatever becomes
//! of its mirror; the copier repairs.
//!
//! ## Fence and rollback
//!
//! ### R17
//!
//! **Before the pivot, an undo fences the source first.** A `Fence` that names the target is
//! created in the source at its exact tail. The target is removed only after the Fence was read
//! back. A paused migrator can then no longer close to that target: its Close expects a tail that
//! has moved, and its next read shows the Fence. Writers step over a Fence. Only a Close to this
//! very target refuses the undo. A new attempt counts the Fences and so has a target of its own.
//!
//! Attempts to fence that lose to concurrent appends are bounded. After the last one the target is
//! kept and the undo ends as `Stuck`; it can be repeated. An undo never restores a backup.
//!
//! ### R18
//!
//! **After the pivot, an undo is a migration back.** Its source is the active stream T. It copies a
//! *restored history*: the N events of the closed stream S as they were, then T's events from M on
//! (those that were appended since), each through the user's `down`.
//!
//! - Cursors and source revisions in the new stream count the restored history. The Close counts
//!   T's own events. So (S, N), (T, M) and the N-th place of the new stream are the same position,
//!   and nothing that was acknowledged is lost.
//! - The new stream's first cell names the migration that is reversed, S, N, M and `down`.
//! - Before anything is copied, S is pinned in the object's document, for as long as the rollback
//!   has not ended.
//! - An event that old code does not know and `down` does not handle stops the rollback before the
//!   Close.
//! - What `down` changes, drops or refuses is retired in the new stream. What the migration had
//!   retired may be appended again.
//! - Only the newest Close of an object can be reversed, then the one before it. A restored backup
//!   cannot be reversed.
//! - A closed stream is never re-opened.
//!
//! ### R19
//!
//! **A backup is never restored onto a live stream.** It is restored as a new object, or into a
//! fresh stream that replaces the active one by a Close over which positions do not translate. A
//! new object's events replace the empty stream in which it would begin, in the same way. Backups
//! and archives are create-only.
//!
//! ## Phases
//!
//! Phases are what applications do besides, during a migration, to make its cutover short. They are
//! hints: everything is correct whatever phase a client believes in, and for however long. Tests
//! run with phases that are never refreshed.
//!
//! | phase | writes | reads |
//! |---|---|---|
//! | normal | source | source |
//! | dual write | source, then the mirror | source |
//! | dual read | as dual write | target |
//! | cutover | source until it is closed, then the target; appends wait a little | as dual read |
//! | book closed | target | target |
//!
//! ### R20
//!
//! **Phases are published one at a time**, forward, and back when a migration is undone, by
//! compare-and-swap. A client ignores an entry that does not belong to the active stream.
//!
//! ### R21
//!
//! **One index record names the objects that have a phase.** Clients poll it every few seconds, off
//! the path of appends. They read the entries only of objects that it names and that they use.
//! Small streams migrate without phases.
//!
//! ## Deletion
//!
//! Not built yet. The formats have room for it.
//!
//! ### R22
//!
//! **A stream that ever took an application's write never becomes absent.** Deletion overwrites
//! data cells in place by tombstones, which keep seq, revision, count and commit id. Close and
//! Fence stay. Only a target that was never closed to may be removed, after [R17](#r17).
//!
//! ### R23
//!
//! **Deleting an object is a Close to nothing**, followed by a tombstone version of its document.
//! Appends then fail with `Deleted`, and no migration revives the object.
//!
//! ## Folds
//!
//! Not built yet, modelled: a fold is a transformation that keeps a state over the events of a stream, and may
//! make one event of several. Its *window* is open while its state holds events that are in no output yet.
//!
//! ### R25
//!
//! **A fold's state is in the cell with the cursor that it belongs to.** A copier takes the state from the
//! target's last cell whenever it reads the tail, and never continues with one that it remembers: another
//! may have copied since. The verification folds from the beginning and compares the state that the target
//! records as well as the outputs, because [R26](#r26) decides by it. Folds have no mirror ([R16](#r16)): a
//! mirror does not have the state.
//!
//! ### R26
//!
//! **No Close while a fold's window is open.** Whether it is open depends only on the events before the tail at
//! which the Close is written, so the Close needs no further condition. The wait for the events that end the
//! window is bounded. It ends with an error that undoes nothing, unless the plan flushes ([R27](#r27)).
//!
//! ### R27
//!
//! **A flushed window ends the attempt if a writer beats the Close.** Where the plan flushes, what the fold holds
//! at the source's tail is written to the target before the Close, in a cell that says so, with the cursor of
//! that tail. A migrator that sees such a cell and a longer source fences the attempt ([R17](#r17)) and begins
//! another, a bounded number of times. Nobody copies behind such a cell. The verification compares its events.
//!
//! # Invariants
//!
//! *Acknowledged* means that the application was notified of success. The model checks I1 to I7 in
//! every state that it reaches. The sweeps' observer checks I4, I5, I6 and I9 after every storage
//! operation, because a violation may be invisible at the end. Histories of what applications did
//! show I1, I2 and I3. I7 is checked at the end of each sweep's run, I8 in tests of the saga and of
//! every provider's locks.
//!
//! ### I1
//!
//! Every acknowledged event is readable through its object exactly once; after the pivot, its image
//! under the transformation is.
//!
//! ### I2
//!
//! An append with an unknown outcome happened once or not at all.
//!
//! ### I3
//!
//! The order of an object's events is kept, and so is real-time order: an append that was
//! acknowledged before another was sent comes first.
//!
//! ### I4
//!
//! When a source is closed to a target, the target's first M events equal the transformation of the
//! source's N events, by the plan's fingerprint. For a reverse migration the source is the restored
//! history ([R18](#r18)); for a restore it is the backup ([R19](#r19)).
//!
//! ### I5
//!
//! The target of a Close is never removed.
//!
//! ### I6
//!
//! Generations and epochs never decrease. Phases change only as in [R20](#r20).
//!
//! ### I7
//!
//! After a rollback before the pivot, the source is open and active. After the pivot, nothing is
//! undone.
//!
//! ### I8
//!
//! Locks are released or expire.
//!
//! ### I9
//!
//! A backup restores to the same bytes.

pub mod control;
pub mod decisions;
pub mod gate;
pub mod journal;
pub mod phase;
pub mod plan;
pub mod routing;
pub mod statistics;
pub mod status;
