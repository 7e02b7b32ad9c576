//! Freezes with clocks apart: a process is stopped at a system call, others work meanwhile, one of
//! them with a clock that is days ahead, and then it continues. Whatever was acknowledged must be
//! there, once; and nothing is left over in the end.

mod actor;
mod round;

use anyhow::Result;

use crate::context::Context;
use crate::report::Tally;

pub(crate) fn run(context: &Context, rounds: u64) -> Result<Tally> {
    let Some(strace) = context.tools.strace.clone() else {
        let mut tally = Tally::of("freezes");
        tally.left_out.push("strace is not installed".to_owned());
        return Ok(tally);
    };
    let mut tally = context.in_parallel("freezes", rounds, &|seed, directory| {
        round::run(context, &strace, seed, directory)
    })?;
    if context.tools.faketime.is_none() {
        let reason = "faketime is not installed: no clocks apart".to_owned();
        tally.left_out.push(reason);
    }
    Ok(tally)
}
