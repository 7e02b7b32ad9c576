//! Confirmation of commands that cannot be undone.

use std::io::{IsTerminal as _, Write as _};

use esm_core::{Error, Result};

use crate::exit;
use crate::output::Output;

/// Asks a question on the terminal; returns `true` for `y` or `yes`.
///
/// # Errors
/// `Invalid` if standard input is no terminal, or the output is JSON.
pub(crate) fn confirmed(output: &Output, question: &str) -> Result<bool> {
    if output.is_json() || !std::io::stdin().is_terminal() {
        return Err(
            Error::invalid("confirmation required, and standard input is no terminal")
                .with_hint("add --yes to confirm"),
        );
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")
        .and_then(|()| err.flush())
        .map_err(|e| exit::io("asking for a confirmation", e))?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| exit::io("reading the confirmation", e))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
