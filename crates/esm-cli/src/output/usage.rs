//! Errors of the command line, the help and the version, as clap words them.

use super::failure::ErrorReport;
use super::stdout;
use super::text::Text;
use super::writer::to_stderr;
use crate::exit::Exit;

/// Prints an error, the help or the version. Only an error, and help that cannot be printed, are
/// failures.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        // without colors: arguments may be data, and the message quotes them
        let text = error.render().to_string();
        let text = text.replace("invalid digit found in string", "expected a whole number");
        to_stderr(Text::lines(&text).as_str());
        return Exit::Usage;
    }
    let Err(lost) = error.print().map_err(stdout::failed) else {
        return Exit::Success;
    };
    if stdout::has_no_reader(&lost) {
        return Exit::Success;
    }
    to_stderr(ErrorReport::new(&lost).to_text().as_str());
    lost.kind().into()
}
