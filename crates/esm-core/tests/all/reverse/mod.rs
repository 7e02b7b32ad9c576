//! The undo after the pivot (R18), from end to end on the in-memory fakes. An observer checks the
//! invariants after every operation.

mod back;
mod bulk;
mod chains;
mod planned;
mod refused;
mod restored;
mod rivals;
mod schemas;
mod writers;
