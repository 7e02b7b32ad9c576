//! Completion of command lines, which the scripts of `esm completions` request from the program:
//! commands, options and files, and objects and migrations as the store has them.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _, Parser};
use clap_complete::CompletionCandidate;
use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::{CompleteEnv, Shells};
use esm_core::{Error, Result};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::args::Global;
use crate::config::Config;
use crate::exit;
use crate::interrupt::Interrupt;
use crate::migration;
use crate::output::{Output, OutputFormat};
use crate::session::{Access, Session};

/// The variable by which a script requests completions, with the name of the shell.
const VARIABLE: &str = "COMPLETE";
/// Candidates at most: a shell shows no more.
const CANDIDATES: usize = 200;
/// Objects that are read at most.
const READ: usize = 10_000;
/// Time to find candidates in a store. After it, there are none.
const PATIENCE: Duration = Duration::from_secs(3);

/// Completes a command line of `esm` if a script requests that. Returns whether it did.
///
/// # Errors
/// Those of clap: an unknown shell, or a malformed request.
pub(crate) fn requested(esm: fn() -> Command) -> Result<bool, clap::Error> {
    let directory = std::env::current_dir().ok();
    CompleteEnv::with_factory(|| with_store(esm()))
        .var(VARIABLE)
        .try_complete(std::env::args_os(), directory.as_deref())
}

/// The script that makes a shell request completions of `esm`.
///
/// # Errors
/// None in practice: it is written to memory.
pub(crate) fn script(shell: &str) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(shell) {
        let written = shell.write_registration(VARIABLE, "esm", "esm", "esm", &mut script);
        written.map_err(|error| exit::io("writing the script", error))?;
    }
    Ok(script)
}

/// Adds what the store has to the values of arguments.
fn with_store(command: Command) -> Command {
    command
        .mut_args(|argument| match value(&argument) {
            // a new object
            Some(_) if argument.get_id() == "as_object" => argument,
            Some("OBJECT") => argument.add(objects()),
            Some("MIGRATION") => argument.add(migrations()),
            _ => argument,
        })
        .mut_subcommands(with_store)
}

/// The name of an argument's value.
fn value(argument: &Arg) -> Option<&str> {
    argument
        .get_value_names()?
        .first()
        .map(|name| name.as_str())
}

/// Completes objects of the store.
fn objects() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let begun = begun.to_string_lossy();
        in_store(async |session| {
            // the listing of one name is shorter than that of all
            let name = begun.split_once('/').map(|(name, _)| name.parse());
            let objects = session.documents().objects(name.and_then(Result::ok));
            let objects = objects
                .take(READ)
                .map_ok(|object| object.to_string())
                .try_filter(|object| std::future::ready(object.starts_with(&*begun)))
                .take(CANDIDATES);
            objects.map_ok(CompletionCandidate::new).try_collect().await
        })
    })
}

/// Completes migrations of the store, with what they are about.
fn migrations() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let begun = begun.to_string_lossy();
        in_store(async |session| {
            let newest = migration::service(session)?.newest(CANDIDATES).await?;
            let candidates = newest.migrations.into_iter().filter_map(|state| {
                let id = state.migration.to_string();
                let scope = state.plan.map(|plan| format!(": {}", plan.scope));
                let about = format!("{}{}", state.status, scope.unwrap_or_default());
                let begins = id.starts_with(&*begun);
                begins.then(|| CompletionCandidate::new(id).help(Some(about.into())))
            });
            Ok(candidates.collect())
        })
    })
}

/// Finds candidates in the store that the command line names. There are none where that fails: a
/// shell cannot show why.
fn in_store(
    find: impl AsyncFnOnce(&Session) -> Result<Vec<CompletionCandidate>>,
) -> Vec<CompletionCandidate> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let found = runtime.block_on(async {
        let found = async {
            let global = global(store_option(std::env::args_os()))?;
            let output = Output::new(OutputFormat::Text);
            let interrupt = Interrupt::listen(&output);
            let session = Session::open(global, output, interrupt, Access::Read).await?;
            find(&session).await
        };
        tokio::time::timeout(PATIENCE, found).await
    });
    // a server that does not respond must not keep the shell waiting
    runtime.shutdown_background();
    found.ok().and_then(Result::ok).unwrap_or_default()
}

/// A command line of global options alone.
#[derive(Debug, Parser)]
struct GlobalOptions {
    #[command(flatten)]
    global: Global,
}

/// The global options, with the values of the variables and of the configuration files.
fn global(options: Vec<OsString>) -> Result<Global> {
    let malformed = |error| Error::invalid("malformed options").with_source(error);
    let words = [OsString::from("esm")].into_iter().chain(options);
    let matches = GlobalOptions::command().try_get_matches_from(words);
    let matches = matches.map_err(malformed)?;
    let options = GlobalOptions::from_arg_matches(&matches);
    let mut global = options.map_err(malformed)?.global;
    global.configure(&Config::load()?, &matches)?;
    Ok(global)
}

/// The option that names the store, as far as a command line has it.
fn store_option(mut line: impl Iterator<Item = OsString>) -> Vec<OsString> {
    while let Some(word) = line.next() {
        if word == "--store" {
            return [word].into_iter().chain(line.next()).collect();
        }
        if word.to_string_lossy().starts_with("--store=") {
            return vec![word];
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_of_a_command_line_is_found() {
        for (line, option) in [
            ("esm show --store shop order/1", &["--store", "shop"][..]),
            ("esm --store=shop show", &["--store=shop"]),
            ("esm show order/1", &[]),
            ("esm show --store", &["--store"]),
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(store_option(words), option, "{line}");
        }
    }
}
