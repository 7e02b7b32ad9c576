//! Kills: `esm` dies at random points of random commands, and is started again until each is done.
//! After each kill every event must be readable, and after each command the export, and what the
//! files themselves contain, must be what the model computes.

mod round;
mod step;

use anyhow::Result;

use crate::context::Context;
use crate::report::Tally;

pub(crate) fn run(context: &Context, rounds: u64) -> Result<Tally> {
    let mut tally = context.in_parallel("kills", rounds, &|seed, directory| {
        round::run(context, seed, directory)
    })?;
    if context.tools.strace.is_none() {
        let reason = "strace is not installed: processes die at random times only";
        tally.left_out.push(reason.to_owned());
    }
    Ok(tally)
}
