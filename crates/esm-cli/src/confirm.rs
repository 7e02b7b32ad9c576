//! Asking before something that cannot be taken back.

use std::io::{IsTerminal as _, Write as _};

use esm_core::{Error, Result};

use crate::exit;
use crate::output::Output;

/// Asks a question; only `y` or `yes` is a yes.
///
/// # Errors
/// `Invalid` where nobody can be asked: then `--yes` must say it.
pub(crate) fn confirmed(output: &Output, question: &str) -> Result<bool> {
    if output.is_json() || !std::io::stdin().is_terminal() {
        return Err(
            Error::invalid("this wants a confirmation, and nobody can be asked")
                .with_hint("add --yes if you are sure"),
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
