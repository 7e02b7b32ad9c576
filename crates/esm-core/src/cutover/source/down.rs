//! Applying a `down` transformation, and refusing events that need one and have none.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

/// The rule under which an event is refused that needs a `down` transformation and has none.
pub(crate) const NO_DOWN: &str = "no down";

/// A user's `down` that refuses an event which it does not handle and old code cannot read: one
/// whose schema none of the originals has.
#[derive(Debug)]
pub(super) struct Down {
    down: Arc<dyn EventTransformer>,
    /// The schemas that old code reads.
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
        if self.down.handles(&event.schema()) {
            return self.down.transform(event, context);
        }
        Err(TransformError::new(
            NO_DOWN,
            "its schema needs a down transformation, even one that leaves the event unchanged: the \
             event was appended after the migration, and the originals have no event of that schema \
             in its present form",
        ))
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
    fn schemas_of_old_code_go_back_unchanged_and_all_others_need_a_down() {
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
        // a down for another schema does not apply
        assert_eq!(mapped(drops(old.schema()), &new), Err(NO_DOWN.to_owned()));
    }
}
