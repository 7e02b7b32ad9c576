//! Reading a whole input without writing anything.

use esm_core::router::ObjectReader;
use esm_core::{Error, Result};

use super::line::Reading;
use super::sequences::{Order, Sequences};
use super::target::State;
use super::write::AtLine;
use crate::input::Input;

/// What a valid input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) events: u64,
    pub(crate) objects: u64,
}

/// Reads all lines: each must be an event, and each object's sequences contiguous. An object that
/// does not begin at 0 must have the events before in the store, where there is one already.
///
/// What is stored is not compared here: that would read the store twice.
///
/// # Errors
/// For the first line that is wrong, naming it.
pub(crate) async fn validate(
    input: &mut Input,
    reading: &Reading,
    reader: Option<&ObjectReader>,
    check: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Checked> {
    let mut sequences = Sequences::default();
    let mut events = 0;
    while let Some(line) = input.next().await? {
        let number = line.number;
        let at = |error: Error| AtLine::new(number, error).into_error();
        let incoming = reading.read(line.text.as_bytes()).map_err(at)?;
        let order = sequences
            .note(&incoming.object, incoming.sequence)
            .map_err(at)?;
        if order == Order::First
            && incoming.sequence > 0
            && let Some(reader) = reader
        {
            let state = State::load(reader, &incoming.object).await.map_err(at)?;
            state
                .reaches(&incoming.object, incoming.sequence)
                .map_err(at)?;
        }
        events += 1;
        if events % 256 == 0 {
            input.tell();
            check()?;
        }
    }
    Ok(Checked {
        events,
        objects: sequences.objects(),
    })
}
