//! Finding what is damaged, left behind or unfinished in a store, without writing anything.
//!
//! A [`Doctor`] reads what the traits of a storage offer, follows every object from its document
//! through its chain of streams, and reports [`Finding`]s: each with how bad it is, what it means for
//! readers and writers, and what mends it. What a provider cannot tell, it says too
//! ([`Examined::not_examined`]).
//!
//! | file | idea |
//! |---|---|
//! | `finding` | the kinds of findings, and what each means |
//! | `service` | the handle that callers use |
//! | `examine` | an examination: what is examined, in which order |
//! | `look/` | what is examined, a subject a file |

mod examine;
mod finding;
mod look;
mod service;

pub use examine::{Examined, NotExamined, Observed};
pub use finding::{Finding, FindingId, FindingKind, Remedy, Severity, Subject};
pub use service::{Depth, Doctor};
