//! Processes: started, signalled, and none left over.

mod child;
mod clock;
mod warden;

pub(crate) use child::{PATIENCE, Process, Speech, say};
pub(crate) use clock::nanoseconds;
pub(crate) use warden::{Warden, guard};
