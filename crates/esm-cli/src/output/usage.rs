//! Errors of the command line, the help and the version, as clap words them.

use std::ffi::OsStr;

use clap::ValueEnum as _;
use clap::error::ErrorKind;
use esm_core::Error;

use super::failure::ErrorReport;
use super::stdout;
use super::text::Text;
use super::writer::{OutputFormat, text_to_stderr, to_stderr};
use crate::exit::Exit;

/// The errors of a command line without a command: where a variable gives an option, it is the second.
const NO_COMMAND: [ErrorKind; 2] = [
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ErrorKind::MissingSubcommand,
];

/// What `esm` without a command prints.
const FIRST: &str = "\
esm moves and transforms event streams with zero downtime.

First commands:
  export ESM_STORE=file:///tmp/esm-demo
  esm import orders.ndjson             # creates the store and its objects
  esm list                             # lists the objects
  esm plan --all --transform v2.jq     # shows what would happen; writes nothing
  esm migrate --all --transform v2.jq  # copies, transforms, verifies, cuts over
  esm export --all > migrated.ndjson

Help:
  esm --help                           # all commands, and the global options
  esm COMMAND -h                       # the usual options of a command
  esm COMMAND --help                   # all of them";

/// Prints an error, the help or the version. Only an error, and help that cannot be printed, are
/// failures.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        if wants_json() {
            to_stderr(&ErrorReport::new(&as_error(error)).to_json());
            return Exit::Usage;
        }
        if NO_COMMAND.contains(&error.kind()) && std::env::args_os().len() == 1 {
            text_to_stderr(&Text::lines(FIRST));
            return Exit::Usage;
        }
        // without colors: arguments may be data, and the message quotes them
        let text = error.render().to_string();
        let text = text.replace("invalid digit found in string", "expected a whole number");
        text_to_stderr(&Text::lines(&text));
        return Exit::Usage;
    }
    let Err(lost) = error.print().map_err(stdout::failed) else {
        return Exit::Success;
    };
    if stdout::has_no_reader(&lost) {
        return Exit::Success;
    }
    text_to_stderr(&ErrorReport::new(&lost).to_text());
    lost.kind().into()
}

/// Whether the command line, which could not be parsed, asks for JSON.
fn wants_json() -> bool {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    asks_for_json(&arguments, std::env::var_os("ESM_OUTPUT").as_deref())
}

/// Whether the last `--output` in the arguments, or else the variable, names the JSON format.
fn asks_for_json(arguments: &[impl AsRef<OsStr>], variable: Option<&OsStr>) -> bool {
    let mut wanted = variable.and_then(OsStr::to_str);
    let mut texts = arguments.iter().map(|argument| argument.as_ref().to_str());
    while let Some(argument) = texts.next() {
        match argument {
            Some("--") => break,
            Some("--output" | "-o") => wanted = texts.next().flatten(),
            Some(other) => {
                let long = other.strip_prefix("--output=");
                let short = || other.strip_prefix("-o").filter(|rest| !rest.is_empty());
                wanted = long.or_else(short).map_or(wanted, Some);
            }
            None => {}
        }
    }
    let wanted = wanted.map(|text| text.trim_start_matches('='));
    let format = wanted.and_then(|text| OutputFormat::from_str(text, false).ok());
    format == Some(OutputFormat::Json)
}

/// The error in the form of all errors: what is wrong, and below it how to mend it.
fn as_error(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let text = text.trim().trim_start_matches("error: ");
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("; ")
    };
    let (message, hint) = (lines(message), lines(rest));
    let error = Error::invalid(message);
    if hint.is_empty() {
        error
    } else {
        error.with_hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_option_is_found_in_arguments_that_cannot_be_parsed() {
        for (arguments, json) in [
            (&["nope", "--output", "json"][..], true),
            (&["nope", "--output=json"], true),
            (&["-o", "json", "nope"], true),
            (&["-ojson"], true),
            (&["-o=json"], true),
            (&["--output", "json", "--output", "text"], false),
            (&["read", "--", "--output", "json"], false),
            (&["--output"], false),
            (&[], false),
        ] {
            assert_eq!(asks_for_json(arguments, None), json, "{arguments:?}");
        }
        let none: [&str; 0] = [];
        assert!(asks_for_json(&none, Some(OsStr::new("json"))));
        assert!(!asks_for_json(&["-otext"], Some(OsStr::new("json"))));
    }
}
