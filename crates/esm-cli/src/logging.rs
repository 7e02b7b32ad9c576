//! Logs on standard error, filtered by `--log` or `ESM_LOG`.

use std::io::IsTerminal as _;

use esm_core::{Error, Result};
use tracing_subscriber::EnvFilter;

use crate::args::{Global, LogFormat};

/// Starts logging.
///
/// # Errors
/// `Invalid` for a filter that cannot be parsed.
pub(crate) fn start(global: &Global) -> Result<()> {
    let filter = EnvFilter::try_new(&global.log).map_err(|e| {
        Error::invalid(format!("invalid log filter: {:?}", global.log))
            .with_source(e)
            .with_hint(
                "expected a level or target=level pairs, for example --log info,esm_core=debug",
            )
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
