//! Logs on standard error, filtered by `--log` or `ESM_LOG`, and the spans of traces.

use std::fmt::{self, Debug};
use std::io::IsTerminal as _;

use esm_core::{Error, Result};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{Global, LogFormat};
use crate::output::Escaped;
use crate::traces::Spans;

/// Starts logging, and gives the spans to what receives them.
///
/// # Errors
/// `Invalid` for a filter that cannot be parsed.
pub(crate) fn start(global: &Global, spans: Option<Spans>) -> Result<()> {
    let filter = EnvFilter::try_new(&global.log).map_err(|e| {
        Error::invalid(format!("invalid log filter: {:?}", global.log))
            .with_source(e)
            .with_hint(
                "expected a level or target=level pairs, for example --log info,esm_core=debug",
            )
    })?;
    let logs = tracing_subscriber::fmt::layer()
        // it would report a failed write on standard error, and panic where that fails
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let logs = match global.log_format {
        LogFormat::Text => logs
            .with_ansi(std::io::stderr().is_terminal())
            .fmt_fields(format::debug_fn(escaped).delimited(" "))
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => logs.json().with_filter(filter).boxed(),
    };
    let layers: Vec<_> = [Some(logs), spans].into_iter().flatten().collect();
    tracing_subscriber::registry().with(layers).init();
    Ok(())
}

/// Writes a field so that its data can neither act on the terminal nor begin another line.
fn escaped(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let value = Escaped(format_args!("{value:?}"));
    if field.name() == "message" {
        write!(writer, "{value}")
    } else {
        write!(writer, "{}={value}", field.name())
    }
}
