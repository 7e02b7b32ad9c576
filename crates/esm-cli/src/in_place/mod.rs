//! Migrations of the tables of another library, where the events are.
//!
//! - `place`: the table of a session, and the options that make no sense there;
//! - `migrate`, `resume`, `roll_back`, `status`: what these commands do there;
//! - `steer`: commands to a migration that another process runs;
//! - `report`: their output; `facts`: the parts of it.

mod facts;
mod migrate;
mod place;
mod report;
mod resume;
mod roll_back;
mod status;
mod steer;

pub(crate) use migrate::{Given, InPlaceArgs, migrate, plan_risks};
pub(crate) use place::{fitted, found, in_place, is_layout, no_layout};
pub(crate) use resume::{finish, resume};
pub(crate) use roll_back::{RollBack, roll_back};
pub(crate) use status::status;
pub(crate) use steer::{Sent, steer};
