//! Confirmation of commands that cannot be undone, or that change much.

use std::io::{IsTerminal as _, Write as _};

use esm_core::{Error, Result};

use crate::exit;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Returns whether a question can be asked: there is a terminal, and the output is not JSON.
pub(crate) fn can_ask(output: &Output) -> bool {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    is_terminal && !output.is_json()
}

/// Asks a question on the terminal; returns `true` for `y` or `yes`.
///
/// # Errors
/// `Invalid` if standard input is no terminal, or the output is JSON; `Cancelled`.
pub(crate) async fn confirmed(
    output: &Output,
    interrupt: &Interrupt,
    question: &str,
) -> Result<bool> {
    if output.is_json() || !std::io::stdin().is_terminal() {
        return Err(
            Error::invalid("confirmation required, and standard input is no terminal")
                .with_hint("add --yes to confirm"),
        );
    }
    {
        let mut err = std::io::stderr().lock();
        write!(err, "{question} [y/N] ")
            .and_then(|()| err.flush())
            .map_err(|e| exit::io("asking for a confirmation", e))?;
    }
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    tokio::select! {
        () = interrupt.token().cancelled() => interrupt.check().map(|()| false),
        answer = answer => {
            let answer = answer.map_err(|e| exit::io("reading the confirmation", e.into()))?;
            let answer = answer.map_err(|e| exit::io("reading the confirmation", e))?;
            Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
        }
    }
}
