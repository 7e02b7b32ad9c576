//! The undo after the pivot: a migration back that restores the originals (R18).
//!
//! It is a migration like every other: the active stream T is copied to a fresh stream, compared, and
//! closed at its exact tail. Only what is copied differs. The new stream begins with the originals,
//! the events that the closed stream S has, as they were; it goes on with what has come to T since
//! S was closed, each through the user's `down` transformation. Revisions, cursors and counts
//! of the run are those of this restored history; only a Close counts T's own events.
//!
//! | file | idea |
//! |---|---|
//! | `planned` | what a plan says of a way back, and of what it reverses |
//! | `standing` | where an object stands: what there is to restore of it |
//! | `originals` | the originals and the numbering of the restored history |
//! | `down` | which events need a transformation, and its application |
//! | `retired` | the schemas that the restored stream retires |
//! | `pin` | keeping the originals from being deleted |
//! | `builder` | what users call |
//! | `findings` | what a plan finds out about the way back of a migration |

mod builder;
mod down;
mod findings;
mod originals;
mod pin;
mod planned;
mod retired;
mod standing;

pub use builder::{RollBackBuilder, RollBackPlan};
pub use down::NO_DOWN;
pub use findings::WayBackFindings;
pub(crate) use originals::Originals;
pub(crate) use pin::pin;
pub use planned::{Reverses, WayBack};
pub(crate) use retired::learn_retired;
pub(crate) use standing::{Standing, blocks, originals, standing};
