//! Cutting many events into appends that a store accepts.

use crate::event::Event;
use crate::store::StoreLimits;

/// Cuts events into batches that fit into one cell each, in order: each is one append, and atomic.
///
/// Sizes are estimated, so a batch gets half of what a cell may hold. An event that is too large on
/// its own is in a batch of its own, and its append is answered with `TooLarge`.
pub fn batches(
    events: impl IntoIterator<Item = Event>,
    limits: StoreLimits,
) -> impl Iterator<Item = Vec<Event>> {
    let mut events = events.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut batch = vec![events.next()?];
        let mut bytes = batch[0].approximate_size();
        while let Some(next) = events.next_if(|next| {
            bytes += next.approximate_size();
            (batch.len() as u64) < limits.max_cell_events && bytes <= limits.max_cell_bytes / 2
        }) {
            batch.push(next);
        }
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EventId, EventType};
    use proptest::prelude::*;

    fn event(size: usize) -> Event {
        let id = EventId::new("1").unwrap();
        Event::new(id, EventType::new("T").unwrap(), "x".repeat(size))
    }

    proptest! {
        #[test]
        fn every_batch_fits_and_no_event_is_lost_or_moved(
            sizes in prop::collection::vec(0..3000usize, 0..60),
            max_cell_events in 1..10u64,
        ) {
            let limits = StoreLimits {
                max_cell_events,
                max_cell_bytes: 4000,
                ..StoreLimits::default()
            };
            let events: Vec<_> = sizes.into_iter().map(event).collect();
            let batches: Vec<_> = batches(events.clone(), limits).collect();
            for batch in &batches {
                let bytes: u64 = batch.iter().map(Event::approximate_size).sum();
                prop_assert!(!batch.is_empty() && batch.len() as u64 <= max_cell_events);
                prop_assert!(batch.len() == 1 || bytes <= limits.max_cell_bytes / 2);
            }
            // and no batch ends while the next event fits in
            for pair in batches.windows(2) {
                let bytes: u64 = pair[0].iter().map(Event::approximate_size).sum();
                let more = bytes + pair[1][0].approximate_size();
                let full = pair[0].len() as u64 == max_cell_events;
                prop_assert!(full || more > limits.max_cell_bytes / 2);
            }
            prop_assert_eq!(batches.concat(), events);
        }
    }
}
