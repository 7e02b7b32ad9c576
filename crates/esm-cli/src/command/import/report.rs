//! What an import did, for people and for programs.

use esm_core::{ErrorKind, Result};
use serde::Serialize;

use crate::exit::Exit;
use crate::import::Tally;
use crate::output::{Facts, Form, Output, Text, count, counted};

#[derive(Debug, Serialize)]
struct Imported {
    /// Whether all of the input is in the store now.
    complete: bool,
    #[serde(flatten)]
    tally: Tally,
}

#[derive(Debug, Serialize)]
struct Validated {
    valid: bool,
    events: u64,
    objects: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
}

pub(super) fn validated(output: &Output, tally: Tally) -> Result<Exit> {
    let validated = Validated {
        valid: true,
        events: tally.events,
        objects: tally.objects,
        skipped: Some(tally.skipped).filter(|skipped| *skipped > 0),
    };
    output.result(&validated, |validated, _| {
        format!(
            "valid: {} of {}{}; nothing was written",
            counted(validated.events, "event"),
            counted(validated.objects, "object"),
            skipped(tally.skipped)
        )
    })?;
    Ok(Exit::Success)
}

pub(super) fn imported(output: &Output, tally: Tally, result: Result<()>) -> Result<Exit> {
    let imported = Imported {
        complete: result.is_ok(),
        tally,
    };
    output.result(&imported, text)?;
    if let Err(error) = result {
        if *error.kind() != ErrorKind::Cancelled {
            output.note("what was imported stays; repeat the command when this is mended");
        }
        return Err(error);
    }
    Ok(Exit::Success)
}

/// What is said of records of which the map made no event.
fn skipped(records: u64) -> String {
    match records {
        0 => String::new(),
        records => format!("; the map makes no event of {}", counted(records, "record")),
    }
}

fn text(imported: &Imported, form: Form) -> Text {
    let Tally {
        events,
        objects,
        imported: new,
        present,
        skipped: none,
    } = imported.tally;
    if imported.complete && events == 0 {
        let skipped = skipped(none);
        return format!("nothing to do: the input has no events{skipped}").into();
    }
    if imported.complete && new == 0 {
        return format!(
            "nothing to do: all {} of {} were there already",
            counted(events, "event"),
            counted(objects, "object")
        )
        .into();
    }
    if imported.complete {
        let mut text = format!(
            "imported {} of {}",
            counted(new, "event"),
            counted(objects, "object")
        );
        if present > 0 {
            text.push_str(&format!("; {} were there already", count(present)));
        }
        text.push_str(&skipped(none));
        return text.into();
    }
    let mut facts = Facts::new();
    facts
        .add("not finished: events read", count(events))
        .add("imported", count(new))
        .add("were there already", count(present));
    facts.to_text(form)
}
