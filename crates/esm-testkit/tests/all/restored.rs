//! The observer notices a rollback that restores the wrong thing (R18).

use std::sync::Arc;

use esm_core::Result;
use esm_core::event::Revision;
use esm_core::id::{Fingerprint, MigrationId, ObjectId, StreamId, StreamRef};
use esm_core::store::{Append, CellEvent, Close, EventStore as _, Origin, Restores};
use esm_core::transform::{EventTransformer as _, Identity};
use esm_testkit::memory::MemoryWorld;
use esm_testkit::observe::Observer;
use esm_testkit::{Rule, Rules, environment, event, events};

/// A migration that dropped the first of three events and changed the others, and one event that came
/// since; its rollback is done by hand, so that it can be done wrongly.
struct ByHand {
    world: MemoryWorld,
    observer: Observer,
    forward: MigrationId,
    source: StreamRef,
    target: StreamRef,
    restored: StreamId,
    back: MigrationId,
}

impl ByHand {
    async fn new() -> Result<Self> {
        let world = MemoryWorld::new(environment(1));
        let object: ObjectId = "order/1".parse()?;
        let cells = [events("e", ["Dropped", "T", "T"]).collect()];
        let source = world.create_object(&object, cells).await?;
        let rules = Rules::new([("Dropped", Rule::Drop), ("T", Rule::Change)]);
        let migration = world.migration_service().migrate(object.clone());
        let migrated = migration.transform(rules.clone()).execute().await?;
        assert!(migrated.is_success(), "{migrated:?}");
        let target = world.document(&object).await?.active;
        let since = vec![event("e3", "Kept")];
        world.append_cell(&target.stream, since).await?;
        let observer = Observer::new(world.event_store(), world.records());
        Ok(Self {
            observer: observer.object(object).transformation(Arc::new(rules)),
            forward: migrated.migration,
            back: world.environment.migration_id(),
            restored: StreamId::new("restored")?,
            world,
            source,
            target,
        })
    }

    fn restores(&self) -> Restores {
        Restores {
            migration: self.forward,
            originals: self.source.clone(),
            events: Revision(3),
            source_from: Revision(2),
            down: Identity.fingerprint(),
        }
    }

    /// Writes the restored stream, closes the target to it, and returns the observer's verdict.
    async fn roll_back(
        &self,
        restores: Restores,
        events: &[(&str, &str, u64)],
        cursor: u64,
        closed_to: u64,
    ) -> Result<String> {
        let store = &self.world.event_store;
        let copied = |(id, event_type, revision): &(&str, &str, u64)| CellEvent {
            event: event(id, event_type),
            source_revision: Some(Revision(*revision)),
        };
        let append = Append {
            commit: self.world.environment.commit_id(),
            origin: Some(Origin {
                source: self.target.clone(),
                migration: self.back,
                attempt: 0,
                fingerprint: Fingerprint::new("reverse:by hand")?,
                retired: Default::default(),
                accepted: Default::default(),
                restores: Some(Box::new(restores)),
            }),
            cursor: Some(Revision(cursor)),
            events: events.iter().map(copied).collect(),
        };
        store
            .append(&self.restored, &Default::default(), append)
            .await?;
        let tail = store.tail(&self.target.stream).await?;
        let close = Close {
            target: Some(StreamRef::new(self.target.store, self.restored.clone())),
            events: tail.next_revision(),
            target_events: Revision(closed_to),
            migration: self.back,
            continues: true,
            target_last: None,
        };
        let commit = self.world.environment.commit_id();
        store
            .close(&self.target.stream, &tail, commit, close)
            .await?;
        Ok(self.observer.check_now().await.err().unwrap_or_default())
    }
}

const RIGHT: [(&str, &str, u64); 4] = [
    ("e0", "Dropped", 0),
    ("e1", "T", 1),
    ("e2", "T", 2),
    ("e3", "Kept", 3),
];

#[tokio::test]
async fn a_right_rollback_has_no_violation() -> Result<()> {
    let by_hand = ByHand::new().await?;
    let said = by_hand.roll_back(by_hand.restores(), &RIGHT, 4, 4).await?;
    assert_eq!(said, "");
    Ok(())
}

#[tokio::test]
async fn originals_or_later_events_that_are_lost_changed_or_moved_are_noticed() -> Result<()> {
    let [e0, e1, e2, e3] = RIGHT;
    let wrong: [&[(&str, &str, u64)]; 7] = [
        &[e1, e2, e3],
        &[e0, e1, e2],
        &[e0, e2, e1, e3],
        &[e0, e1, e2, e3, e3],
        &[e0, ("e1", "Changed", 1), e2, e3],
        // the source's own number instead of that of the restored history
        &[e0, e1, e2, ("e3", "Kept", 2)],
        &[],
    ];
    for events in wrong {
        let by_hand = ByHand::new().await?;
        let closed_to = events.len() as u64;
        let said = by_hand
            .roll_back(by_hand.restores(), events, 4, closed_to)
            .await?;
        assert!(said.starts_with("I4"), "{events:?}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_close_before_the_end_of_the_restored_history_is_noticed() -> Result<()> {
    let by_hand = ByHand::new().await?;
    // as many as the target itself has, which is what its Close counts
    let said = by_hand
        .roll_back(by_hand.restores(), &RIGHT[..3], 3, 3)
        .await?;
    assert!(said.starts_with("I4"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_first_cell_that_lies_about_the_originals_is_noticed() -> Result<()> {
    for lie in 0..3 {
        let by_hand = ByHand::new().await?;
        let mut restores = by_hand.restores();
        match lie {
            0 => restores.events = Revision(2),
            1 => restores.source_from = Revision(3),
            _ => restores.migration = by_hand.back,
        }
        let said = by_hand.roll_back(restores, &RIGHT, 4, 4).await?;
        assert!(said.starts_with("R18"), "{lie}: {said}");
    }
    Ok(())
}
