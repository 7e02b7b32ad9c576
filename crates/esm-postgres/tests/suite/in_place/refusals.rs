//! Tables that cannot be rewritten, and what the server would store otherwise.

use std::sync::Arc;

use esm_core::ErrorKind;
use esm_postgres::{InPlace, LayoutStore};

use super::{Bench, By, options, rename, rows, texts};
use crate::server::{places, tables_of};

const BY: By = By {
    name: "rename",
    change: |event| rename(event, "Placed", "OrderPlaced"),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_rewritten_is_refused_with_what_to_change() {
    for (change, said, hint) in [
        (
            "CREATE UNIQUE INDEX once ON events (aggregate_id) WHERE event_type = 'Placed'
                 AND aggregate_type = 'order'",
            "once on public.events",
            "drop the index",
        ),
        (
            "CREATE UNIQUE INDEX expression ON events (aggregate_type, aggregate_id, sequence,
                 (payload->>'x'))",
            "expression on public.events",
            "drop the index",
        ),
        (
            "ALTER TABLE events ADD UNIQUE (aggregate_type, aggregate_id, sequence, event_type)
                 DEFERRABLE",
            "old code could insert a duplicate",
            "drop the index",
        ),
        (
            "ALTER TABLE events ADD cents text GENERATED ALWAYS AS (payload->>'cents') STORED",
            "generated from what is rewritten: cents of public.events",
            "drop the generated column",
        ),
        (
            "CREATE RULE nothing AS ON UPDATE TO events DO INSTEAD NOTHING",
            "a rule replaces updates: nothing on public.events",
            "drop the rule",
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER outbox AFTER UPDATE ON events FOR EACH ROW EXECUTE FUNCTION f()",
            "outbox on public.events",
            "--allow-triggers",
        ),
    ] {
        for place in places().await {
            place.run(tables_of("cqrs-es")).await;
            place.run(change).await;
            let before = rows(&place, "events").await;
            let bench = Bench::new(&place, BY).await;
            let error = bench.begin().await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(said), "{error:?}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            assert_eq!(rows(&place, "events").await, before);
            let schema = "SELECT count(*) FROM pg_namespace WHERE nspname = 'esm_in_place'";
            assert_eq!(texts(&place, schema).await, ["0"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_touch_the_rewritten_columns_is_allowed_and_named() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place
            .run(
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
                 CREATE TRIGGER outbox AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION f();
                 CREATE INDEX by_type ON events (event_type);
                 ALTER TABLE events ADD twice bigint GENERATED ALWAYS AS (sequence * 2) STORED;
                 CREATE PUBLICATION everything FOR TABLE events",
            )
            .await;
        let bench = Bench::new(&place, BY).await;
        let described = bench.describe().await.unwrap();
        let warnings = bench.in_place.check(&described).await.unwrap();
        assert!(warnings[0].contains("everything"), "{warnings:?}");
        assert_eq!(bench.migrate().await.unwrap().rewritten, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_with_the_grant() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let role = format!("reader_{}", std::process::id());
        place
            .run(&format!(
                "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'r';
                 GRANT SELECT ON events TO {role};
                 GRANT EXECUTE ON FUNCTION pg_control_system() TO {role}"
            ))
            .await;
        let described = Bench::new(&place, BY).await.describe().await.unwrap();
        let address = place.address.replace("postgres@", &format!("{role}@"));
        let check = async || {
            let settings = place.settings_of(&address, "r").unwrap();
            let database = esm_postgres::Database::connect(settings).await.unwrap();
            let store = LayoutStore::open(database).await.unwrap();
            let in_place = InPlace::new(&store, options("reader"));
            in_place.check(&described).await
        };
        let error = check().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        let grant = format!("GRANT SELECT, UPDATE ON public.events TO {role}");
        assert_eq!(error.hint(), Some(grant.as_str()), "{error:?}");
        place.run(&grant).await;
        let error = check().await.unwrap_err();
        assert!(
            error.hint().unwrap().contains("GRANT CREATE ON DATABASE"),
            "{error:?}"
        );
        place.run(error.hint().unwrap()).await;
        check().await.unwrap();
        // policies that would hide events from it
        place
            .run("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
            .await;
        let error = check().await.unwrap_err();
        assert!(error.to_string().contains("row security"), "{error:?}");
        place
            .run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_stores_something_else_is_rolled_back_and_nothing_is_changed() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        for body in [
            // another payload, another column, and no row at all
            "NEW.payload = '{}'; RETURN NEW;",
            "NEW.sequence = NEW.sequence + 100; RETURN NEW;",
            "RETURN NULL;",
        ] {
            place
                .run(&format!(
                    "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql
                         AS $$BEGIN {body} END$$;
                     CREATE OR REPLACE TRIGGER t BEFORE UPDATE ON events
                         FOR EACH ROW EXECUTE FUNCTION f()"
                ))
                .await;
            let before = rows(&place, "events").await;
            let mut allowing = options("test");
            allowing.allow_triggers = true;
            let bench = Bench::with(&place, BY, allowing).await;
            let running = bench.begin().await.unwrap();
            let error = running.rewrite().await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::VerificationFailed, "{error:?}");
            assert!(
                error.to_string().contains("events 1 to 1 of order"),
                "{error:?}"
            );
            assert!(error.hint().unwrap().contains("trigger"), "{error:?}");
            assert_eq!(rows(&place, "events").await, before, "{body}");
            running.leave().await;
            let known = bench.newest().await;
            bench
                .in_place
                .roll_back(&known, "test", None)
                .await
                .unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_somebody_truncated_stops_everything() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let running = bench.begin().await.unwrap();
        running.rewrite().await.unwrap();
        running.leave().await;
        place
            .run("DELETE FROM esm_in_place.archive WHERE key[2] = '1'")
            .await;
        let before = rows(&place, "events").await;
        let known = bench.newest().await;
        let resumed = bench.in_place.resume(&known, Arc::clone(&bench.by)).await;
        for error in [
            resumed.unwrap_err(),
            bench
                .in_place
                .roll_back(&known, "test", None)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(*error.kind(), ErrorKind::Corrupt, "{error:?}");
            assert!(error.to_string().contains("1 of 2 events"), "{error:?}");
        }
        assert_eq!(rows(&place, "events").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_since_is_left_by_an_undo_and_named() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        bench.migrate().await.unwrap();
        place
            .run("UPDATE events SET payload = '{\"OrderPlaced\":{}}' WHERE aggregate_id = '2/b'")
            .await;
        let known = bench.newest().await;
        let undone = bench
            .in_place
            .roll_back(&known, "test", None)
            .await
            .unwrap();
        assert_eq!((undone.restored, undone.left), (1, 1), "{undone:?}");
        assert_eq!(undone.left_events, ["{order,2/b} 1"], "{undone:?}");
        let kept = "SELECT event_type || payload FROM events WHERE aggregate_id = '2/b'";
        assert_eq!(
            texts(&place, kept).await,
            [r#"OrderPlaced{"OrderPlaced":{}}"#]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_keys_that_look_like_parts_of_a_statement_are_only_names() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place
            .run(
                r#"CREATE SCHEMA "{columns}"; ALTER TABLE events SET SCHEMA "{columns}";
                   UPDATE "{columns}".events SET aggregate_id = '(key, number)'
                       WHERE aggregate_id = '2/b'"#,
            )
            .await;
        let store = place.layout("?search_path=%7Bcolumns%7D").await.unwrap();
        let in_place = InPlace::new(&store, options("test"));
        let by = in_place.transformer(Arc::new(BY));
        let bench = Bench {
            store,
            in_place,
            by,
        };
        assert_eq!(bench.migrate().await.unwrap().rewritten, 2);
        let changed =
            r#"UPDATE "{columns}".events SET payload = '{}' WHERE aggregate_id LIKE '(%'"#;
        place.run(changed).await;
        let known = bench.newest().await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        let undone = undone.unwrap();
        assert_eq!((undone.restored, undone.left), (1, 1), "{undone:?}");
        assert_eq!(undone.left_events, [r#"{order,"(key, number)"} 1"#]);
    }
}
