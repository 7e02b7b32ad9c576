//! A transformer whose rules are data.

use std::collections::{BTreeMap, BTreeSet};

use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::{EventType, Fingerprint};
use esm_core::transform::{
    EventTransformer, Identity, TransformContext, TransformError, Transformed,
};

/// What a transformation does with events of a type.
///
/// ```
/// use esm_core::event::Revision;
/// use esm_core::transform::Mapper;
/// use esm_testkit::{Rule, Rules, event};
///
/// for (rule, outputs) in [(Rule::Keep, 1), (Rule::Drop, 0), (Rule::Change, 1), (Rule::Split(3), 3)] {
///     let mapper = Mapper::new(std::sync::Arc::new(Rules::new([("Paid", rule)])));
///     let mapped = mapper.map(&"order/1".parse()?, Revision(0), &event("7", "Paid"))?;
///     assert_eq!(mapped.outputs.len(), outputs);
/// }
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Leaves them as they are.
    Keep,
    /// Drops them.
    Drop,
    /// Gives them the next schema version, and a payload that wraps the old one.
    Change,
    /// Splits each into this many events of the next schema version.
    Split(u8),
    /// Fails on them.
    Fail,
}

/// A transformer whose rules are data: a [`Rule`] for some event types. Events of other types stay
/// as they are. It is deterministic, and its fingerprint contains its rules.
///
/// ```
/// use std::sync::Arc;
///
/// use esm_core::event::Revision;
/// use esm_core::transform::Mapper;
/// use esm_testkit::{Rule, Rules, event};
///
/// let mapper = Mapper::new(Arc::new(Rules::new([("Placed", Rule::Split(2))])));
/// let mapped = mapper.map(&"order/1".parse()?, Revision(0), &event("7", "Placed"))?;
/// assert_eq!(mapped.outputs.len(), 2);
/// # Ok::<(), esm_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    rules: BTreeMap<EventType, Rule>,
    declares: bool,
    fingerprint: Fingerprint,
}

impl Rules {
    /// Returns these rules for events of these types.
    ///
    /// # Panics
    /// When one is not a valid type.
    pub fn new<T: AsRef<str>>(rules: impl IntoIterator<Item = (T, Rule)>) -> Self {
        let named = |name: T| EventType::new(name).unwrap_or_else(|error| panic!("{error}"));
        let rules = rules.into_iter().map(|(name, rule)| (named(name), rule));
        let rules: BTreeMap<_, _> = rules.collect();
        let hash = blake3::hash(format!("{rules:?}").as_bytes()).to_hex();
        let fingerprint = Fingerprint::new(format!("rules:{}", &hash[..16]))
            .unwrap_or_else(|_| Identity.fingerprint());
        Self {
            rules,
            declares: false,
            fingerprint,
        }
    }

    /// Declares version 1 of each type that is changed, split or dropped as
    /// [retired](EventTransformer::retired_schemas), as your own transformer should. Otherwise a
    /// stream that had no such event at the cutover accepts one afterwards as it is.
    #[must_use]
    pub fn declaring(mut self) -> Self {
        self.declares = true;
        self
    }

    fn rule(&self, event_type: &EventType) -> Rule {
        self.rules.get(event_type).copied().unwrap_or(Rule::Keep)
    }
}

/// The event in its next schema version; `part` keeps the outputs of a split apart.
fn next_version(event: &Event, part: u8) -> Event {
    let mut payload = format!("{{\"part\":{part},\"was\":").into_bytes();
    payload.extend_from_slice(&event.payload);
    payload.push(b'}');
    let mut changed = event.clone();
    changed.payload = payload.into();
    changed.schema_version.0 = changed.schema_version.0.wrapping_add(1);
    changed
}

impl EventTransformer for Rules {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.rule(&schema.event_type) != Rule::Keep
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        if !self.declares {
            return BTreeSet::new();
        }
        let stays = |rule: &Rule| matches!(rule, Rule::Keep | Rule::Fail);
        let types = self.rules.iter().filter(|(_, rule)| !stays(rule));
        types
            .map(|(event_type, _)| Schema {
                event_type: event_type.clone(),
                version: SchemaVersion(1),
            })
            .collect()
    }

    fn transform(
        &self,
        event: &Event,
        _context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok(match self.rule(&event.event_type) {
            Rule::Keep => Transformed::Unchanged,
            Rule::Drop => Transformed::Dropped {
                rule: "rules".to_owned(),
            },
            Rule::Change => Transformed::Events(vec![next_version(event, 0)]),
            Rule::Split(parts) => {
                Transformed::Events((0..parts).map(|part| next_version(event, part)).collect())
            }
            Rule::Fail => return Err(TransformError::new("rules", "this type fails")),
        })
    }
}
