//! What the work of one run shares, in four parts: the [`Services`] it uses, the plan, the
//! [`Live`] state that commands and reports go through, and the [`Guard`] that ends the run when it
//! must.

mod context;
mod cutover;
mod guard;
mod live;
mod services;

pub(crate) use context::Context;
pub(crate) use guard::{Guard, Stop};
pub(crate) use live::Live;
pub(crate) use services::Services;
