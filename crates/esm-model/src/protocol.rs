//! The model: a scope, perhaps a twin, and what both have in common with production.

use crate::production::Names;
use crate::scope::{Kind, Scope};
use crate::twin::Twin;
use crate::world::{Event, Held, Slot, Stream, World, step, transformed};

/// The protocol in a scope, whole or broken in one place.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// What is explored.
    pub scope: Scope,
    /// How it is broken.
    pub twin: Option<Twin>,
    pub(crate) names: Names,
}

impl Protocol {
    /// The protocol as it is.
    ///
    /// # Errors
    /// `Invalid` where production refuses one of the model's names.
    pub fn whole(scope: Scope) -> esm_core::Result<Self> {
        Self::new(scope, None)
    }

    /// The protocol, broken.
    ///
    /// # Errors
    /// As [`whole`](Self::whole).
    pub fn broken(scope: Scope, twin: Twin) -> esm_core::Result<Self> {
        Self::new(scope, Some(twin))
    }

    fn new(scope: Scope, twin: Option<Twin>) -> esm_core::Result<Self> {
        let names = Names::new(&scope, twin)?;
        Ok(Self { scope, twin, names })
    }

    pub(crate) fn is(&self, twin: Twin) -> bool {
        self.twin == Some(twin)
    }

    pub(crate) fn kind(&self, migration: u8) -> Kind {
        self.scope.migrations[usize::from(migration)]
    }

    /// What a forward migration makes of these events.
    pub(crate) fn transformed(&self, events: &[Event]) -> Vec<Event> {
        transformed(&self.scope, events)
    }

    /// The first so many source events of a migration, each with its outputs. Those of a reverse
    /// migration (R18) are first the originals, then what the target has had since the pivot.
    pub(crate) fn copied(&self, world: &World, migration: u8, source: Slot) -> Vec<Vec<Event>> {
        let stream = world.stream(source);
        match self.kind(migration) {
            Kind::Restore(_) => Vec::new(),
            Kind::Forward => {
                let mut held = None;
                let outputs = |event| step(&self.scope, event, &mut held);
                stream.events().map(outputs).collect()
            }
            Kind::Reverse => {
                let Some((originals, migrated)) = reversed(world, source) else {
                    return Vec::new();
                };
                let originals = originals.events().map(|event| vec![event]);
                let since = stream.events().skip(usize::from(migrated));
                originals
                    .chain(since.map(|event| vec![event.transformed_back()]))
                    .collect()
            }
        }
    }

    /// The state of the fold after the first so many source events of a migration.
    pub(crate) fn held(&self, world: &World, migration: u8, source: Slot, count: usize) -> Held {
        let mut held = None;
        if self.kind(migration) == Kind::Forward {
            for event in world.stream(source).events().take(count) {
                step(&self.scope, event, &mut held);
            }
        }
        held
    }
}

/// What a reverse migration of this stream goes back to: the stream that was closed to it, and M.
pub(crate) fn reversed(world: &World, source: Slot) -> Option<(&Stream, u8)> {
    let origin = world.stream(source).origin()?;
    let originals = world.stream(origin.source);
    let close = originals.close().filter(|close| close.target == source)?;
    Some((originals, close.target_events))
}
