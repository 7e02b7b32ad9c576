//! Appending and loading over Closes.

use std::collections::BTreeMap;

use esm_core::event::Revision;
use esm_core::object::TerminationReason;
use esm_core::router::{ExpectedRevision, ObjectReader, ReadPosition, Translation};
use esm_core::store::{Append, Close, EventStore as _, Origin, RecordKey, RecordsExt as _, Tail};
use esm_core::{ErrorKind, Result};
use esm_testkit::faults::{At, Fault, FaultPlan};

use super::cutover::*;
use crate::world::{World, event, schema};

#[tokio::test(start_paused = true)]
async fn an_append_at_the_closed_end_goes_on_in_the_target() -> Result<()> {
    // R8, X14: N = 3 and M = 2, so the bare number would be wrong
    let (f, s) = World::with_cells(&[&["a", "b"], &["c"]]).await?;
    let stale = f.client();
    let warm = f.client();
    let expected = warm
        .append(&f.order, ExpectedRevision::Any, events(&["d"]))
        .await?
        .next;
    let t = f.cut_over(&s, target_of(2)).await?;
    let appended = warm
        .append(
            &f.order,
            ExpectedRevision::At(expected.clone()),
            events(&["e"]),
        )
        .await?;
    assert_eq!((appended.first, appended.next), (at(&t, 2), at(&t, 3)));
    // a client that still knows only S's end learns of the event that came since
    let error = stale
        .append(&f.order, ExpectedRevision::At(expected), events(&["x"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(3) });
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_same_number_in_another_stream_is_another_place() -> Result<()> {
    // R8: the client knows (T, 3) when it is given (S, 3)
    let (f, s) = World::with_cells(&[&["a", "b", "c"]]).await?;
    f.cut_over(&s, target_of(2)).await?;
    let client = f.client();
    let appended = client
        .append(&f.order, ExpectedRevision::Any, events(&["d"]))
        .await?;
    assert_eq!(appended.next.revision, Revision(3));
    let expected = ExpectedRevision::At(at(&s, 3));
    let error = client
        .append(&f.order, expected, events(&["x"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(3) });
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_position_before_the_closed_end_is_a_conflict() -> Result<()> {
    // R8: not all of S was known; (S, 2) must not be taken for (T, 2)
    let (f, s) = World::with_cells(&[&["a", "b", "c"]]).await?;
    let t = f.cut_over(&s, target_of(2)).await?;
    for known in [0, 2] {
        let expected = ExpectedRevision::At(at(&s, known));
        let error = f
            .client()
            .append(&f.order, expected, events(&["x"]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(2) });
    }
    assert_eq!(f.stored(&t).len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_position_never_carries_over_a_restore() -> Result<()> {
    // R8, R19, X17
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let restored = Cutover {
        continues: false,
        ..target_of(1)
    };
    let t = f.cut_over(&s, restored).await?;
    let expected = ExpectedRevision::At(at(&s, 1));
    let error = f
        .client()
        .append(&f.order, expected, events(&["x"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(1) });
    let appended = f.append_ids(&["y"]).await?;
    assert_eq!(appended.first, at(&t, 1));
    assert_eq!(
        f.document(&f.order).await.terminated[0].reason,
        TerminationReason::Restored
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn positions_carry_over_a_chain_only_while_nothing_came_between() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b"]]).await?;
    let t = f.cut_over(&s, target_of(3)).await?;
    let u = f.cut_over(&t, target_of(1)).await?;
    let expected = ExpectedRevision::At(at(&s, 2));
    let appended = f
        .client()
        .append(&f.order, expected.clone(), events(&["c"]))
        .await?;
    assert_eq!(appended.first, at(&u, 1));

    let (f, s) = World::with_cells(&[&["a", "b"]]).await?;
    let t = f.cut_over(&s, target_of(3)).await?;
    f.append_ids(&["between"]).await?;
    f.cut_over(&t, target_of(4)).await?;
    let error = f
        .client()
        .append(&f.order, expected, events(&["c"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Conflict { actual: Some(4) });
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn any_follows_a_chain_whatever_it_counts() -> Result<()> {
    // R9
    let (f, s) = World::with_cells(&[&["a", "b"]]).await?;
    let client = f.client();
    client
        .append(&f.order, ExpectedRevision::Any, events(&["c"]))
        .await?;
    let t = f.cut_over(&s, target_of(7)).await?;
    let u = f.cut_over(&t, target_of(0)).await?;
    let appended = client
        .append(&f.order, ExpectedRevision::Any, events(&["d"]))
        .await?;
    assert_eq!(appended.first, at(&u, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_new_object_is_followed_when_it_is_closed_before_its_first_event() -> Result<()> {
    let f = World::new();
    let s = f.client().create(&f.order).await?.stream().clone();
    let t = f.cut_over(&s, target_of(0)).await?;
    let loaded = f.client().load(&f.order).await?;
    assert_eq!(loaded.position(), at(&t, 0));
    let expected = ExpectedRevision::At(at(&s, 0));
    f.client()
        .append(&f.order, expected, events(&["a"]))
        .await?;
    assert_eq!(f.stored(&t), ["a"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_appender_helps_the_document_to_the_chains_end_and_keeps_the_rest() -> Result<()> {
    // R12
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let mut document = f.document(&f.order).await;
    document.extra = BTreeMap::from([("theirs".to_owned(), serde_json::json!({"x": 1}))]);
    let key = RecordKey::Document(f.order.clone());
    f.storage.records.put_as(&key, 1, &document).await?;
    let t = f.cut_over(&s, target_of(1)).await?;
    let u = f.cut_over(&t, target_of(2)).await?;
    f.append_ids(&["b"]).await?;
    let helped = f.document(&f.order).await;
    assert_eq!(helped.active, u);
    let terminated: Vec<_> = helped.terminated.iter().map(|t| t.stream.clone()).collect();
    assert_eq!(terminated, [s, t.clone()]);
    assert_eq!(helped.extra, document.extra);
    assert_eq!(helped.terminated[1].continuation_events, Revision(2));
    assert_eq!(
        f.storage.records.snapshot(&key).len(),
        3,
        "one version for both hops"
    );
    f.client().load(&f.order).await?;
    assert_eq!(
        f.storage.records.snapshot(&key).len(),
        3,
        "nothing more to help"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_append_does_not_wait_for_a_document_that_cannot_be_written() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let t = f.cut_over(&s, target_of(1)).await?;
    let plan = FaultPlan::new().with(At::Named("records.put", 0), Fault::FailBefore);
    let client = plan.actor("app").client(&f.storage);
    let appended = client
        .append(&f.order, ExpectedRevision::Any, events(&["b"]))
        .await?;
    assert_eq!(appended.stream, t);
    assert_eq!(f.document(&f.order).await.active, s);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reader_follows_and_never_writes() -> Result<()> {
    // R12
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let t = f.cut_over(&s, target_of(1)).await?;
    let plan = FaultPlan::new();
    let actor = plan.actor("reader");
    let reader = ObjectReader::new(
        actor.records(f.storage.records()),
        actor.event_store(f.storage.event_store()),
    );
    assert_eq!(reader.load(&f.order).await?.position(), at(&t, 1));
    reader.translate(&f.order, &at(&s, 1)).await?;
    assert!(plan.log().counts().values().all(|c| c.writes == 0));
    assert_eq!(f.document(&f.order).await.active, s);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn retired_schemas_are_refused_redirected_or_reloaded_and_new_ones_are_not() -> Result<()> {
    // R11
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let warm = f.client();
    let next = warm
        .append(&f.order, ExpectedRevision::Any, events(&["b"]))
        .await?
        .next;
    let cutover = Cutover {
        retired: vec![schema("T", 1)],
        ..target_of(2)
    };
    let t = f.cut_over(&s, cutover).await?;
    let migration = f.client().load(&f.order).await?.document.terminated[0].migration;
    let reloaded = f.client().load(&f.order).await?.position();
    for (client, position) in [(&warm, next), (&f.client(), reloaded)] {
        let expected = ExpectedRevision::At(position);
        let error = client
            .append(&f.order, expected, events(&["x"]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        let message = error.to_string();
        assert!(
            message.contains("T v1") && message.contains(&migration.to_string()),
            "{message}"
        );
    }
    let mut new = event("c");
    new.schema_version.0 = 2;
    // also behind the first cell, where the tail does not say where the stream comes from
    for id in ["c", "d"] {
        new.id = id.try_into()?;
        let any = ExpectedRevision::Any;
        f.client().append(&f.order, any, vec![new.clone()]).await?;
    }
    let old = f.append_ids(&["x"]).await;
    assert_eq!(old.unwrap_err().kind(), &ErrorKind::Invalid);
    assert_eq!(f.stored(&t).len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_chain_into_another_store_needs_that_store() -> Result<()> {
    // R13
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let other = f.storage.another_event_store();
    let cutover = Cutover {
        store: Some(other.clone()),
        ..target_of(1)
    };
    let t = f.cut_over(&s, cutover).await?;
    let error = f.append_ids(&["b"]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::UnknownStore);
    assert!(error.error().is_retryable() && error.error().hint().is_some());
    assert_eq!(f.document(&f.order).await.active, s);
    let client = f.client_knowing(shared(&other));
    let appended = client
        .append(&f.order, ExpectedRevision::At(at(&s, 1)), events(&["b"]))
        .await?;
    assert_eq!((appended.stream, appended.first.revision.0), (t, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_name_the_source_is_not_followed() -> Result<()> {
    // R13: as if another bucket went by the same name
    for says in [Says::Nothing, Says::AnotherSource, Says::AnotherMigration] {
        let (f, s) = World::with_cells(&[&["a"]]).await?;
        let cutover = Cutover {
            says,
            ..target_of(1)
        };
        let t = f.cut_over(&s, cutover).await?;
        let error = f.append_ids(&["b"]).await;
        assert_eq!(error.unwrap_err().kind(), &ErrorKind::UnknownStore);
        assert_eq!(
            f.reader().load(&f.order).await.unwrap_err().kind(),
            &ErrorKind::UnknownStore
        );
        for from in [ReadPosition::Start, ReadPosition::At(at(&s, 1))] {
            let error = f.read_from(from).await.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::UnknownStore);
        }
        let stands = (f.document(&f.order).await.active, f.stored(&t).len());
        assert_eq!(stands, (s, 1), "{says:?}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_met_twice_is_corruption() -> Result<()> {
    // R13
    let f = World::new();
    let s = f.client().create(&f.order).await?.stream().clone();
    let (there, back) = (
        f.storage.environment.migration_id(),
        f.storage.environment.migration_id(),
    );
    let t = target_id(s.store, &s, there);
    let store = &f.storage.event_store;
    for (stream, source, migration) in [(&s, &t, back), (&t, &s, there)] {
        let origin = Origin {
            source: source.clone(),
            migration,
            attempt: 0,
            fingerprint: "x".try_into()?,
            retired: Default::default(),
            accepted: Default::default(),
            restores: None,
        };
        let first = Append {
            commit: f.storage.environment.commit_id(),
            origin: Some(origin),
            cursor: Some(Revision::START),
            events: Vec::new(),
        };
        store
            .append(&stream.stream, &Tail::default(), first)
            .await?;
    }
    for (stream, target, migration) in [(&s, &t, there), (&t, &s, back)] {
        let close = Close {
            target: Some(target.clone()),
            events: Revision::START,
            target_events: Revision::START,
            migration,
            continues: true,
            target_last: None,
        };
        f.close(stream, close).await?;
    }
    let error = f.append_ids(&["b"]).await;
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::Corrupt));
    let read = f.read_from(Default::default()).await;
    assert!(matches!(read.unwrap_err().kind(), ErrorKind::Corrupt));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_says_so() -> Result<()> {
    // R23
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let close = Close {
        target: None,
        events: Revision(1),
        target_events: Revision::START,
        migration: f.storage.environment.migration_id(),
        continues: false,
        target_last: None,
    };
    f.close(&s, close).await?;
    let error = f.append_ids(&["b"]).await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::Deleted);
    assert_eq!(
        f.reader().load(&f.order).await.unwrap_err().kind(),
        &ErrorKind::Deleted
    );
    assert_eq!(
        f.read_from(Default::default()).await.unwrap_err().kind(),
        &ErrorKind::Deleted
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn older_positions_are_history_or_lie_further_along_the_chain() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a", "b", "c"]]).await?;
    let t = f.cut_over(&s, target_of(2)).await?;
    let client = f.client();
    client
        .append(&f.order, ExpectedRevision::Any, events(&["d"]))
        .await?;
    let u = f.cut_over(&t, target_of(5)).await?;
    let history = |stream: &_, revision| Translation::History {
        stream: Clone::clone(stream),
        revision: Revision(revision),
    };
    let active = |revision| Translation::Active(at(&u, revision));
    for (from, revision, expected) in [
        (&s, 0, history(&s, 0)),
        (&s, 2, history(&s, 2)),
        // the fourth event of S's writer is in T, which was closed at 3
        (&s, 3, history(&t, 2)),
        (&s, 4, active(5)),
        (&s, 6, active(7)),
        (&t, 2, history(&t, 2)),
        (&t, 3, active(5)),
        (&u, 4, active(4)),
    ] {
        let translated = f.reader().translate(&f.order, &at(from, revision)).await?;
        assert_eq!(translated, expected, "{from} {revision}");
    }
    let chain = f.reader().chain(&f.order, &t.stream).await?;
    assert_eq!(chain.closes.len(), 1);
    assert_eq!(chain.translate(&s.stream, Revision(0)), None);
    let mut strange = at(&s, 0);
    strange.stream = "strange".try_into()?;
    let error = f.reader().translate(&f.order, &strange).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::NotFound);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn positions_at_a_restores_end_lie_nowhere() -> Result<()> {
    // R19
    let (f, s) = World::with_cells(&[&["a", "b"]]).await?;
    let restored = Cutover {
        continues: false,
        ..target_of(1)
    };
    f.cut_over(&s, restored).await?;
    let translate = async |revision| f.reader().translate(&f.order, &at(&s, revision)).await;
    assert!(matches!(translate(1).await?, Translation::History { .. }));
    assert!(matches!(translate(2).await?, Translation::Replaced(_)));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_first_cell_was_deleted_still_leads_on() -> Result<()> {
    // R14, R22: T was archived and deleted after it had been closed to U
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let t = f.cut_over(&s, target_of(2)).await?;
    let u = f.cut_over(&t, target_of(3)).await?;
    assert!(f.storage.event_store.bury(&t.stream, 0));
    assert_eq!(f.client().load(&f.order).await?.position(), at(&u, 3));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_position_is_translated_by_what_was_followed_anyway() -> Result<()> {
    let (f, s) = World::with_cells(&[&["a"]]).await?;
    let t = f.cut_over(&s, target_of(2)).await?;
    let plan = FaultPlan::new();
    let actor = plan.actor("reader");
    let store = actor.event_store(f.storage.event_store());
    let reader = ObjectReader::new(actor.records(f.storage.records()), store);
    reader.load(&f.order).await?;
    let loading = plan.log().len();
    for stream in [&s, &t] {
        let before = plan.log().len();
        reader.translate(&f.order, &at(stream, 1)).await?;
        assert_eq!(plan.log().len() - before, loading, "{stream}");
    }
    Ok(())
}
