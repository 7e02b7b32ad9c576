//! New sequences for streams that begin elsewhere than at 0, or have gaps.

use std::collections::HashMap;

use esm_core::id::ObjectId;
use esm_core::{Error, Result};

use super::line::Incoming;

/// The attribute that keeps the sequence that an event had in the input.
const ORIGINAL: &str = "originalsequence";

/// Numbers the events of each object 0, 1, 2, … in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Renumber {
    objects: HashMap<ObjectId, Numbers>,
}

#[derive(Debug)]
struct Numbers {
    /// The last sequence of the input.
    last: u64,
    /// The sequence that the next event gets.
    next: u64,
}

impl Renumber {
    /// Replaces the sequence of the next event of the input, which keeps the original one.
    ///
    /// # Errors
    /// `Invalid` if the sequences of an object do not ascend: the order would not be certain.
    pub(super) fn replace(&mut self, incoming: &mut Incoming) -> Result<()> {
        let original = incoming.sequence;
        let known = self.objects.get(&incoming.object);
        if let Some(numbers) = known.filter(|numbers| original <= numbers.last) {
            return Err(Error::invalid(format!(
                "sequence of {} does not ascend: {original} after {}",
                incoming.object, numbers.last
            ))
            .with_hint("sort the input by sequence first"));
        }
        incoming.sequence = known.map_or(0, |numbers| numbers.next);
        let numbers = Numbers {
            last: original,
            next: incoming.sequence + 1,
        };
        self.objects.insert(incoming.object.clone(), numbers);
        let metadata = &mut incoming.event.metadata;
        metadata.insert(ORIGINAL, original.to_string().as_str())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::Reading;

    fn incoming(object: &str, sequence: u64) -> Incoming {
        let reading = Reading {
            name: None,
            max_event_bytes: 1000,
            renumber: true,
        };
        let line = format!(
            r#"{{"specversion":"1.0","id":"{sequence}","type":"T","source":"o","subject":"{object}","sequence":"{sequence}"}}"#
        );
        reading.read(line.as_bytes()).expect("an event")
    }

    #[test]
    fn each_object_is_numbered_from_0_and_the_original_is_kept() -> Result<()> {
        let mut renumber = Renumber::default();
        for (object, original, expected) in [
            ("a", 1, 0),
            ("b", 7, 0),
            ("a", 2, 1),
            ("a", u64::MAX, 2),
            ("b", 9, 1),
        ] {
            let mut event = incoming(object, original);
            renumber.replace(&mut event)?;
            assert_eq!(event.sequence, expected);
            let kept = event.event.metadata.get(ORIGINAL);
            assert_eq!(kept, Some(&original.to_string().as_str().into()));
        }
        Ok(())
    }

    #[test]
    fn a_sequence_that_does_not_ascend_is_refused() -> Result<()> {
        let mut renumber = Renumber::default();
        renumber.replace(&mut incoming("a", 5))?;
        for again in [5, 4] {
            let error = renumber.replace(&mut incoming("a", again)).unwrap_err();
            assert!(
                error.to_string().ends_with(&format!("{again} after 5")),
                "{error}"
            );
            assert!(error.hint().is_some());
        }
        Ok(())
    }
}
