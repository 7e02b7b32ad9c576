//! Which events need a transformation back, and its application.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

/// The rule under which an event is refused that needs a `down` transformation and has none.
pub const NO_DOWN: &str = "no down";

/// A user's `down`, that refuses what it would leave as it is and old code does not know: an event of a
/// schema that is not handled, and that none of the originals has.
#[derive(Debug)]
pub(super) struct Down {
    down: Arc<dyn EventTransformer>,
    /// What old code knows.
    known: Arc<BTreeSet<Schema>>,
}

impl Down {
    pub(super) fn new(down: Arc<dyn EventTransformer>, known: Arc<BTreeSet<Schema>>) -> Self {
        Self { down, known }
    }
}

impl EventTransformer for Down {
    fn fingerprint(&self) -> Fingerprint {
        self.down.fingerprint()
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.down.handles(schema) || !self.known.contains(schema)
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        self.down.retired_schemas()
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        match self.down.handles(&event.schema()) {
            true => self.down.transform(event, context),
            false => Err(TransformError::new(
                NO_DOWN,
                "it needs a down transformation that handles its schema, also where it is to stay as \
                 it is: it came after the migration, and the originals have no event of that schema \
                 as it is now",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Revision;
    use crate::id::{EventId, EventType, ObjectId};
    use crate::transform::{FunctionTransformer, Identity, Mapper};

    fn event(event_type: &str) -> Event {
        let event_type = EventType::new(event_type).unwrap();
        Event::new(EventId::new("7").unwrap(), event_type, "{}")
    }

    fn mapped(down: impl EventTransformer, event: &Event) -> Result<usize, String> {
        let known = [self::event("Old").schema()].into();
        let down = Down::new(Arc::new(down), Arc::new(known));
        let object: ObjectId = "order/1".parse().unwrap();
        let mapped = Mapper::new(Arc::new(down)).map(&object, Revision(3), event);
        mapped
            .map(|m| m.outputs.len())
            .map_err(|failure| failure.rule)
    }

    #[test]
    fn what_old_code_knows_goes_back_as_it_is_and_the_rest_needs_a_down() {
        assert_eq!(mapped(Identity, &event("Old")), Ok(1));
        assert_eq!(mapped(Identity, &event("New")), Err(NO_DOWN.to_owned()));
        let drops = |schema| {
            FunctionTransformer::new("drop", 1, [schema], |_, _| Ok(Transformed::dropped("d")))
                .unwrap()
        };
        let (old, new) = (event("Old"), event("New"));
        assert_eq!(mapped(drops(new.schema()), &new), Ok(0));
        assert_eq!(mapped(drops(new.schema()), &old), Ok(1));
        assert_eq!(mapped(drops(old.schema()), &old), Ok(0));
        // one that handles another schema is none for this
        assert_eq!(mapped(drops(old.schema()), &new), Err(NO_DOWN.to_owned()));
    }
}
