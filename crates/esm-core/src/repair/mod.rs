//! Mending what a [`Doctor`](crate::doctor::Doctor) finds, where the streams prove what is right.
//!
//! A [`Repair`] believes nothing of a finding but what it is about: it reads again, and writes only by
//! compare-and-swap. So findings may be old, and two repairs at the same time do no harm.
//!
//! | file | idea |
//! |---|---|
//! | `service` | the handle that callers use; which findings are mended |
//! | `target` | removing the target of an attempt that is over |
//! | `rest` | removing what a paused process wrote to a target after that |
//! | `proof` | what must be true of a target and its source before that |
//! | `document` | correcting a document, and writing a lost one again, from the streams |
//! | `leftover` | locks of the dead, published phases, manifests without files |

mod document;
mod leftover;
mod proof;
mod rest;
mod service;
mod target;

pub use service::{Mended, Offer, Outcome, Repair};
