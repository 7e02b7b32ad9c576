//! `esm`: event stream management from the command line.
//!
//! Migrates event streams with zero downtime: copies and transforms the events of an object into a
//! new stream, verifies the copy, and cuts over while applications continue to append. Also imports,
//! exports, backs up and inspects the streams of a store.
//!
//! It is an operator's tool. It makes no decision of the protocol: those are in `esm_core`, and a
//! program that appends or reads events uses `esm_core::router`. It runs no server and keeps no
//! state outside of the store: several processes of it can work on one store, on one machine or many.
//!
//! ```console
//! $ export ESM_STORE=file:///tmp/esm-demo
//! $ esm import orders.ndjson
//! imported 2,168 events of 320 objects
//! $ esm plan --all --transform v2.jq         # writes nothing
//! $ esm migrate --all --transform v2.jq
//! migrated 320 objects in 2.1 s
//! $ esm verify --all
//! equal: 2,368 events of 320 objects match their transformed sources
//! ```
//!
//! # Modules
//!
//! A module uses only modules further down in this list.
//!
//! - `cli`: the top-level command line; opens the store and runs a command.
//! - `command`: a file per command. It turns arguments into calls and results into a report.
//! - `migration`, `import`, `backup`: what several commands share about migrations, imports, backups.
//! - `sample`: an event and what becomes of it.
//! - `selection`, `events`: the objects that a command works on, and their events in order.
//! - `complete`: completion of command lines, with what the store has.
//! - `session`: the opened stores, and how to communicate with the user.
//! - `linked_store`: a linked store, opened when it is first needed.
//! - `open_store`: a store of esm's own, or the tables of another library.
//! - `processes`: whether the process that holds a lock has ended.
//! - `config`: configuration files, and which value of an option is used.
//! - `args`, `input`, `progress`, `interrupt`, `confirm`, `logging`, `traces`: parts of the terminal.
//! - `help`, `version`: the pages of help, and the details of the version.
//! - `output`, `exit`: text and JSON, errors and exit codes.

mod args;
mod backup;
mod cli;
mod command;
mod complete;
mod config;
mod confirm;
mod events;
mod exit;
mod help;
mod import;
mod in_place;
mod input;
mod interrupt;
mod linked_store;
mod logging;
mod migration;
mod open_store;
mod opened;
mod output;
mod processes;
mod progress;
mod sample;
mod selection;
mod session;
mod sorted;
mod traces;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind::DisplayVersion;
use tokio::runtime::Handle;

use crate::args::Global;
use crate::cli::{Arguments, Unread};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::{Output, OutputFormat};
use crate::traces::Traces;

/// Threads for blocking disk access and computations. More would not be faster, and the system's
/// allocator retains memory for every thread that ever freed an event.
const BLOCKING_THREADS: usize = 8;

/// Runs the command of this process's arguments.
///
/// This library is the program alone: it promises no interface to others.
pub fn main() -> ExitCode {
    match complete::requested(Arguments::command) {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => return output::usage(&error).into(),
    }
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(Unread::CommandLine(error))
            if error.kind() == DisplayVersion && version::is_verbose() =>
        {
            let output = Output::new(OutputFormat::Text);
            let printed = output.text(version::details().to_text(output.note_form()));
            return printed
                .map_or_else(|error| output.fail(&error), |()| Exit::Success)
                .into();
        }
        Err(Unread::CommandLine(error)) => return output::usage(&error).into(),
        Err(Unread::Config(error, format)) => return Output::new(format).fail(&error).into(),
    };
    let output = Output::new(arguments.global.output).with_heading(!arguments.global.no_header);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&exit::io("starting the runtime", error)).into(),
    };
    let traces = match observed(&arguments.global, runtime.handle()) {
        Ok(traces) => traces,
        Err(error) => return output.fail(&error).into(),
    };
    let exit = runtime.block_on(async {
        let interrupt = Interrupt::listen(&output);
        let exit = match arguments.dispatch(output.clone(), interrupt).await {
            Ok(exit) => exit,
            Err(error) => output.fail(&error),
        };
        output.ended(exit)
    });
    traces.end(&output);
    // a blocked read from a terminal must not keep the process alive
    runtime.shutdown_background();
    Exit::into(exit)
}

/// Starts logs and traces.
fn observed(global: &Global, runtime: &Handle) -> esm_core::Result<Traces> {
    let collector = global.otlp.as_deref().filter(|url| !url.is_empty());
    let traces = Traces::start(collector, runtime)?;
    logging::start(global, traces.spans())?;
    Ok(traces)
}

/// Whether a command line is well-formed with this text as the user's configuration file, up to what
/// only its command can check. The first argument is the program's name.
pub fn parses(arguments: impl IntoIterator<Item = OsString>, config: &str) -> bool {
    let config = || config::Config::of_user(config);
    Arguments::of_line(Arguments::command(), arguments, config).is_ok()
}
