//! The `esm` command: migrate event streams with zero downtime, from the command line.
//!
//! Thin over the libraries: each command is a file in `command/` that turns arguments into calls
//! and what comes back into a report. What a command decides beyond that lives beside it: `import/`
//! (a file into many streams in bounded memory), `output/` (tables, lines, JSON, errors).

mod args;
mod backup;
mod command;
mod confirm;
mod difference;
mod exit;
mod import;
mod input;
mod interrupt;
mod logging;
mod migration;
mod objects;
mod opened;
mod output;
mod progress;
mod selection;
mod session;
mod sorted;
mod stream;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Arguments;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Threads that wait for the disk or compute. The system's allocator keeps memory for each thread
/// that ever freed an event, so more of them than are of use cost memory and no time is won.
const BLOCKING_THREADS: usize = 8;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    let output = Output::new(arguments.global.output);
    if let Err(error) = logging::start(&arguments.global) {
        return output.fail(&error).into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&exit::io("starting the runtime", error)).into(),
    };
    let exit = runtime.block_on(async {
        let interrupt = Interrupt::listen(&output);
        match command::run(arguments, output.clone(), interrupt).await {
            Ok(exit) => exit,
            Err(error) => output.fail(&error),
        }
    });
    // a blocked read of a terminal must not keep the process alive
    runtime.shutdown_background();
    Exit::into(exit)
}
