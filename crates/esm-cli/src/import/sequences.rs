//! Which sequence comes next for each object of the input.

use std::collections::HashMap;

use esm_core::id::ObjectId;
use esm_core::{Error, Result};

/// Finds gaps and duplicates within the input.
///
/// Keeps about 40 bytes an object, whatever its name is: a hash of the name and two numbers.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    seen: HashMap<[u8; 16], Seen>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    first: u64,
    next: u64,
}

/// How an event stands to those before it in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first one of its object.
    First,
    /// The next one of its object.
    Next,
}

impl Sequences {
    /// Notes an event.
    ///
    /// # Errors
    /// `Invalid` for a gap or a duplicate; the caller knows the line.
    pub(crate) fn note(&mut self, object: &ObjectId, sequence: u64) -> Result<Order> {
        let Some(seen) = self.seen.get_mut(&key(object)) else {
            let seen = Seen {
                first: sequence,
                next: sequence + 1,
            };
            self.seen.insert(key(object), seen);
            return Ok(Order::First);
        };
        if sequence == seen.next {
            seen.next += 1;
            return Ok(Order::Next);
        }
        Err(seen.out_of_order(object, sequence))
    }

    /// Number of objects.
    pub(crate) fn objects(&self) -> u64 {
        self.seen.len() as u64
    }
}

impl Seen {
    fn out_of_order(self, object: &ObjectId, sequence: u64) -> Error {
        let Self { first, next } = self;
        if sequence > next {
            return Error::invalid(format!(
                "gap in the events of {object}: sequence {next} must come next, found {sequence}"
            ));
        }
        if sequence < first {
            return Error::invalid(format!(
                "events of {object} are out of order: sequence {sequence} after {first}"
            ))
            .with_hint("sort each object's events by sequence");
        }
        Error::invalid(format!(
            "duplicate event of {object}: sequence {sequence} stands in the input twice"
        ))
    }
}

fn key(object: &ObjectId) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    // a name has no '/', so that the joined text is unambiguous
    hash.update(object.name().as_str().as_bytes());
    hash.update(b"/");
    hash.update(object.key().as_str().as_bytes());
    let mut key = [0; 16];
    hash.finalize_xof().fill(&mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_duplicates_and_disorder_are_told_apart() -> Result<()> {
        let (a, b): (ObjectId, ObjectId) = ("order/a".parse()?, "order/b".parse()?);
        let mut sequences = Sequences::default();
        assert_eq!(sequences.note(&a, 3)?, Order::First);
        assert_eq!(sequences.note(&b, 0)?, Order::First);
        assert_eq!(sequences.note(&a, 4)?, Order::Next);
        let message = |r: Result<Order>| r.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message(sequences.note(&a, 6)).contains("gap"));
        assert!(message(sequences.note(&a, 4)).contains("duplicate"));
        assert!(message(sequences.note(&a, 2)).contains("out of order"));
        assert_eq!(sequences.note(&a, 5)?, Order::Next);
        assert_eq!(sequences.objects(), 2);
        Ok(())
    }
}
