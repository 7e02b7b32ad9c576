//! The sequences of events: those of the input, or new ones.

use std::collections::HashMap;

use esm_core::id::ObjectId;
use esm_core::{Error, Result};

use super::incoming::{Incoming, Located};

/// The attribute that keeps the sequence that an event had in the input.
const ORIGINAL: &str = "originalsequence";

/// Where the sequences of events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// From the input.
    Given,
    /// Replaced by 0, 1, 2, … in each object; the input's are kept and must ascend.
    Renumber,
    /// 0, 1, 2, … in each object; the input has none.
    Number,
}

/// Gives the events of an input their sequences.
#[derive(Debug)]
pub(super) struct Numbers {
    numbering: Numbering,
    /// Remains empty where the input's are taken.
    objects: HashMap<ObjectId, Known>,
}

#[derive(Debug)]
struct Known {
    /// The last sequence of the input.
    last: Option<u64>,
    /// The sequence that the next event gets.
    next: u64,
}

impl Numbers {
    pub(super) fn new(numbering: Numbering) -> Self {
        Self {
            numbering,
            objects: HashMap::new(),
        }
    }

    /// Gives the next event of the input its sequence. An event keeps the one that is replaced.
    ///
    /// # Errors
    /// `Invalid` for an event without a sequence where it needs one or with one where it must not
    /// have one, and for sequences of an object that do not ascend where they are replaced: the order
    /// would not be certain.
    pub(super) fn take(&mut self, located: Located) -> Result<Incoming> {
        let Located {
            object,
            sequence: given,
            mut event,
            ..
        } = located;
        let sequence = match (self.numbering, given) {
            (Numbering::Given, Some(given)) => given,
            (Numbering::Renumber, Some(given)) => {
                let next = self.next(&object, Some(given))?;
                event
                    .metadata
                    .insert(ORIGINAL, given.to_string().as_str())?;
                next
            }
            (Numbering::Number, None) => self.next(&object, None)?,
            (Numbering::Given | Numbering::Renumber, None) => return Err(missing()),
            (Numbering::Number, Some(given)) => return Err(present(given)),
        };
        Ok(Incoming {
            object,
            sequence,
            event,
        })
    }

    fn next(&mut self, object: &ObjectId, given: Option<u64>) -> Result<u64> {
        let known = self.objects.get(object);
        let last = known.and_then(|known| known.last);
        if let (Some(given), Some(last)) = (given, last)
            && given <= last
        {
            let what = format!("sequence of {object} does not ascend: {given} after {last}");
            return Err(Error::invalid(what).with_hint(
                "sort the input by sequence first; an export of a table needs `order by`",
            ));
        }
        let sequence = known.map_or(0, |known| known.next);
        let known = Known {
            last: given,
            next: sequence + 1,
        };
        self.objects.insert(object.clone(), known);
        Ok(sequence)
    }
}

fn missing() -> Error {
    Error::invalid("attribute is missing: sequence").with_hint(
        "give each event its position in its object as \"sequence\", from \"0\" on; if the input \
         has them in order, add --number",
    )
}

fn present(given: u64) -> Error {
    Error::invalid(format!("event has a sequence, with --number: {given}")).with_hint(
        "use --renumber, which checks that sequences ascend and keeps them, or leave the option out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::event::Event;
    use esm_core::id::{EventId, EventType};

    fn located(object: &str, sequence: Option<u64>) -> Result<Located> {
        Ok(Located {
            object: object.parse()?,
            sequence,
            event: Event::new(EventId::new("1")?, EventType::new("T")?, "{}"),
            bytes: 0,
        })
    }

    #[test]
    fn each_object_is_numbered_from_0_and_the_original_is_kept() -> Result<()> {
        let mut numbers = Numbers::new(Numbering::Renumber);
        for (object, original, expected) in [
            ("o/a", 1, 0),
            ("o/b", 7, 0),
            ("o/a", 2, 1),
            ("o/a", u64::MAX, 2),
            ("o/b", 9, 1),
        ] {
            let event = numbers.take(located(object, Some(original))?)?;
            assert_eq!(event.sequence, expected);
            let kept = event.event.metadata.get(ORIGINAL);
            assert_eq!(kept, Some(&original.to_string().as_str().into()));
        }
        Ok(())
    }

    #[test]
    fn a_sequence_that_does_not_ascend_is_refused() -> Result<()> {
        let mut numbers = Numbers::new(Numbering::Renumber);
        numbers.take(located("o/a", Some(5))?)?;
        for again in [5, 4] {
            let error = numbers.take(located("o/a", Some(again))?).unwrap_err();
            assert!(
                error.to_string().ends_with(&format!("{again} after 5")),
                "{error}"
            );
            assert!(error.hint().is_some());
        }
        Ok(())
    }

    #[test]
    fn events_without_sequences_are_numbered_in_their_order() -> Result<()> {
        let mut numbers = Numbers::new(Numbering::Number);
        for (object, expected) in [("o/a", 0), ("o/b", 0), ("o/a", 1)] {
            let event = numbers.take(located(object, None)?)?;
            assert_eq!(event.sequence, expected);
            assert!(event.event.metadata.is_empty());
        }
        Ok(())
    }

    #[test]
    fn an_event_has_a_sequence_exactly_where_it_needs_one() -> Result<()> {
        for (numbering, sequence, hint) in [
            (Numbering::Given, None, "--number"),
            (Numbering::Renumber, None, "--number"),
            (Numbering::Number, Some(3), "--renumber"),
        ] {
            let error = Numbers::new(numbering).take(located("o/a", sequence)?);
            let error = error.unwrap_err();
            assert!(error.hint().is_some_and(|h| h.contains(hint)), "{error}");
        }
        let given = Numbers::new(Numbering::Given).take(located("o/a", Some(3))?)?;
        assert_eq!(given.sequence, 3);
        Ok(())
    }
}
