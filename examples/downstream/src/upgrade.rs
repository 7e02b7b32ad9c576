//! From the first edition to the second.

use esm_core::Result;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::EventType;
use esm_core::transform::{CompositeTransformer, FunctionTransformer, TransformError, Transformed};

use crate::{first, second};

/// What becomes of the first edition's events; payments stay as they are.
///
/// # Errors
/// None: the names in it are valid.
pub fn upgrade() -> Result<CompositeTransformer> {
    Ok(CompositeTransformer::new()
        .with(amounts_in_cents()?)
        .with(shipments_in_two_steps()?)
        .with(without_notes()?))
}

fn amounts_in_cents() -> Result<FunctionTransformer> {
    FunctionTransformer::typed::<first::Placed, second::Placed>(
        "amounts-in-cents",
        1,
        Schema::new("OrderPlaced", 1)?,
        Schema::new("OrderPlaced", 2)?,
        |old: first::Placed| {
            let cents = cents(&old.amount);
            let failed = || TransformError::new("amount", format!("no amount: {}", old.amount));
            cents
                .map(|cents| second::Placed { cents })
                .ok_or_else(failed)
        },
    )
}

/// `12.50` is 1250.
fn cents(amount: &str) -> Option<u64> {
    let (units, cents) = amount.split_once('.')?;
    let cents: u64 = cents.parse().ok().filter(|_| cents.len() == 2)?;
    Some(units.parse::<u64>().ok()? * 100 + cents)
}

fn shipments_in_two_steps() -> Result<FunctionTransformer> {
    let shipped = Schema::new("OrderShipped", 1)?;
    let steps = [
        EventType::new("ParcelPacked")?,
        EventType::new("ParcelDispatched")?,
    ];
    let of = [shipped.clone()];
    let split = FunctionTransformer::new("shipments-in-two-steps", 1, of, move |shipped, _| {
        // those that keep the id get a number behind it
        let step = |event_type: &EventType| Event {
            event_type: event_type.clone(),
            schema_version: SchemaVersion(1),
            ..shipped.clone()
        };
        Ok(Transformed::Events(steps.iter().map(step).collect()))
    })?;
    // also where an order has none yet: code of the first edition may still append one
    Ok(split.retiring([shipped]))
}

fn without_notes() -> Result<FunctionTransformer> {
    let notes = Schema::new("NoteTaken", 1)?;
    let dropping = FunctionTransformer::new("without-notes", 1, [notes.clone()], |_, _| {
        Ok(Transformed::dropped("notes are for people"))
    })?;
    Ok(dropping.retiring([notes]))
}
