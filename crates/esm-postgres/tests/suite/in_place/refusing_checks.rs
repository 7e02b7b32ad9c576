//! What is checked before old code is refused.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_core::store::OnRetired;
use esm_postgres::RewriteStatus;

use super::refusing::{BY, begin};
use super::{Bench, By, rows, texts};
use crate::server::{places, tables_of};

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_refusing_needs_are_checked_before_anything_is_touched() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        // others have used the schema before
        let first = Bench::new(&place, BY).await;
        first.migrate().await.unwrap();
        let known = first.newest().await;
        first
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        let (theirs, role) = place.as_role().await;
        place
            .run(&format!("ALTER TABLE events OWNER TO {role}"))
            .await;
        let bench = Bench::new(&theirs, BY).await;
        let mut described = bench.describe().await.unwrap();
        described.planned.on_retired = Some(OnRetired::Refuse);
        for (grant, missing) in [
            ("", "GRANT USAGE, CREATE ON SCHEMA esm_in_place"),
            (
                "GRANT USAGE ON SCHEMA esm_in_place TO",
                "GRANT SELECT, INSERT, UPDATE, DELETE",
            ),
            (
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA esm_in_place TO",
                "GRANT USAGE, CREATE ON SCHEMA esm_in_place",
            ),
        ] {
            if !grant.is_empty() {
                place.run(&format!("{grant} {role}")).await;
            }
            let error = bench.in_place.check(&described).await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::PermissionDenied, "{error:?}");
            assert!(error.hint().unwrap().contains(missing), "{error:?}");
        }
        // what refuses nothing needs no more
        described.planned.on_retired = None;
        bench.in_place.check(&described).await.unwrap();

        // an undo removes nothing that is not there
        let running = begin(&first).await;
        running.rewrite().await.unwrap();
        running.leave().await;
        let known = bench.newest().await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().restored, 2);

        // and what is there must be its own
        let running = begin(&first).await;
        running.rewrite().await.unwrap();
        running.settle(9).await.unwrap();
        running.end(false).await.unwrap();
        let known = bench.newest().await;
        let refused = rows(&place, "events").await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        let resumed = bench.in_place.resume(&known, Arc::clone(&bench.by)).await;
        for error in [undone.unwrap_err(), resumed.unwrap_err()] {
            assert_eq!(*error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        }
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        let grant = format!("GRANT postgres TO {role}");
        assert_eq!(undone.unwrap_err().hint(), Some(&*grant));
        assert_eq!(bench.newest().await.status, RewriteStatus::Rewritten);
        assert_eq!(rows(&place, "events").await, refused);
        first
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        place.drop_role(&role).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_refused_is_said_before_anything_is_written() {
    let same = By {
        name: "same",
        change: |event| event.payload = "{}".into(),
    };
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let refuses = |planned: &mut esm_core::protocol::plan::PlannedMigration| {
            planned.on_retired = Some(OnRetired::Refuse);
        };
        let bench = Bench::new(&place, same.clone()).await;
        let error = bench.begin_with(refuses).await.unwrap_err();
        assert!(error.to_string().contains("keep their schema"), "{error:?}");
        let bench = Bench::new(&place, BY).await;
        let some = |planned: &mut esm_core::protocol::plan::PlannedMigration| {
            planned.on_retired = Some(OnRetired::Refuse);
            planned.scope = esm_core::protocol::plan::Scope::Name("order".parse().unwrap());
        };
        let error = bench.begin_with(some).await.unwrap_err();
        assert!(error.hint().unwrap().contains("--all"), "{error:?}");
        let schema = "SELECT count(*) FROM pg_namespace WHERE nspname = 'esm_in_place'";
        assert_eq!(texts(&place, schema).await, ["0"]);
    }
}
