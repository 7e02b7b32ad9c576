//! The events that are measured with: of the size and the compressibility of business events.

use anyhow::Result;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType};

const TYPES: [&str; 6] = [
    "OrderPlaced",
    "ItemAdded",
    "PaymentReceived",
    "OrderShipped",
    "OrderDelivered",
    "NoteTaken",
];

/// The event with this number: about 300 bytes as a line.
pub(crate) fn event(number: u64) -> Result<Event> {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let kind = TYPES[(mixed >> 32) as usize % TYPES.len()];
    let payload = format!(
        r#"{{"number":{number},"reference":"{mixed:016x}","customer":"customer-{}","amount_cents":{},"currency":"EUR","channel":"web","comment":"{} of {} in the warehouse"}}"#,
        mixed % 9_973,
        mixed % 100_000,
        mixed % 17,
        mixed % 31,
    );
    let id = EventId::new(format!("event-{number}"))?;
    let mut event = Event::new(id, EventType::new(kind)?, payload);
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    event.time = Some(format!("2025-03-03T{hour:02}:{minute:02}:{second:02}Z"));
    Ok(event)
}
