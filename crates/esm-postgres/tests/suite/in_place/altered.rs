//! Undoing a migration of a table that was altered since.

use esm_core::ErrorKind;
use esm_core::store::OnRetired;
use esm_layout::BuiltIn;
use esm_postgres::RewriteStatus;

use super::{Bench, By, rename, rows, texts};
use crate::server::{Place, places, tables_of};

/// The new type is shorter than the old one.
const BY: By = By {
    name: "rename",
    change: |event| rename(event, "Placed", "Put"),
};

/// The columns as values that a changed type of JSON does not change.
const VALUES: &str = "SELECT ROW(aggregate_type, aggregate_id, sequence, event_type, event_version,
    payload::jsonb, metadata::jsonb)::text FROM events ORDER BY 1";

/// A table that was migrated, and then altered. Returns what `query` had found before.
async fn altered(place: &Place, query: &str, alter: &str) -> Vec<String> {
    place.run(tables_of("cqrs-es")).await;
    let before = texts(place, query).await;
    assert_eq!(
        Bench::new(place, BY)
            .await
            .migrate()
            .await
            .unwrap()
            .rewritten,
        2
    );
    place.run(alter).await;
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_are_restored_into_a_table_that_still_takes_them() {
    for (alter, converted) in [
        (
            "ALTER TABLE events ALTER payload TYPE jsonb",
            &["payload"][..],
        ),
        ("ALTER TABLE events ALTER event_type TYPE varchar(6)", &[]),
        ("ALTER TABLE events ALTER sequence TYPE int", &[]),
        (
            "ALTER TABLE events ADD note text NOT NULL DEFAULT 'none'",
            &[],
        ),
        (
            "ALTER TABLE events ADD CHECK (event_type <> 'Nonsense')",
            &[],
        ),
        // who reads events may not read what they refer to
        (
            "CREATE TABLE types (name text PRIMARY KEY);
             INSERT INTO types VALUES ('Put'), ('Placed'), ('Paid'), ('Sent');
             ALTER TABLE events ADD FOREIGN KEY (event_type) REFERENCES types",
            &[],
        ),
    ] {
        for place in places().await {
            let before = altered(&place, VALUES, alter).await;
            let bench = Bench::new(&place, BY).await;
            let known = bench.newest().await;
            let outlook = bench.in_place.outlook(&known, None).await.unwrap();
            assert_eq!(outlook.columns_converted, converted, "{alter}");
            let undone = bench.in_place.roll_back(&known, "test", None).await;
            let undone = undone.unwrap();
            assert_eq!((undone.restored, undone.left), (2, 0), "{alter}");
            assert_eq!(undone.columns_converted, converted, "{alter}");
            assert_eq!(texts(&place, VALUES).await, before, "{alter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_table_takes_no_more_is_named_before_anything_is_touched() {
    for (alter, said, hint, mend) in [
        (
            "ALTER TABLE events ALTER event_type TYPE varchar(4)",
            "event_type is character varying(4) now, which does not hold what they had",
            "its former type",
            "ALTER TABLE events ALTER event_type TYPE text",
        ),
        (
            "ALTER TABLE events ADD CONSTRAINT short CHECK (length(event_type) < 5)",
            "constraint short refuses what 2 had: CHECK ((length(event_type) < 5))",
            "ALTER TABLE events DROP CONSTRAINT short",
            "ALTER TABLE events DROP CONSTRAINT short",
        ),
        (
            "CREATE TABLE types (name text PRIMARY KEY);
             INSERT INTO types VALUES ('Put'), ('Paid'), ('Sent');
             ALTER TABLE events ADD CONSTRAINT known FOREIGN KEY (event_type) REFERENCES types",
            "constraint known refuses what 2 had: FOREIGN KEY (event_type) REFERENCES types(name)",
            "ALTER TABLE events DROP CONSTRAINT known",
            "INSERT INTO types VALUES ('Placed')",
        ),
        (
            "CREATE UNIQUE INDEX once ON events (aggregate_type, aggregate_id, event_type)",
            "a unique index depends on what is rewritten",
            "drop the index",
            "DROP INDEX once",
        ),
        (
            "ALTER TABLE events ADD kind text GENERATED ALWAYS AS (upper(event_type)) STORED",
            "generated from what is rewritten: kind of public.events",
            "drop the generated column",
            "ALTER TABLE events DROP kind",
        ),
        (
            "CREATE RULE nothing AS ON UPDATE TO events DO INSTEAD NOTHING",
            "a rule replaces updates: nothing on public.events",
            "drop the rule",
            "DROP RULE nothing ON events",
        ),
    ] {
        for place in places().await {
            let before = altered(&place, VALUES, alter).await;
            let now = rows(&place, "events").await;
            let bench = Bench::new(&place, BY).await;
            let known = bench.newest().await;
            let error = bench.in_place.roll_back(&known, "test", None).await;
            let error = error.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains(said), "{error:?}");
            assert!(error.hint().unwrap().contains(hint), "{error:?}");
            assert_eq!(bench.newest().await.status, RewriteStatus::Finished);
            assert_eq!(rows(&place, "events").await, now);
            place.run(mend).await;
            let bench = Bench::new(&place, BY).await;
            let undone = bench.in_place.roll_back(&known, "test", None).await;
            assert_eq!(undone.unwrap().left, 0, "{alter}");
            assert_eq!(texts(&place, VALUES).await, before, "{alter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_with_a_constraint_of_its_own_takes_what_it_is_asked_for() {
    let partitioned = "ALTER TABLE events RENAME TO old;
        CREATE TABLE events (LIKE old INCLUDING DEFAULTS,
            PRIMARY KEY (aggregate_type, aggregate_id, sequence)) PARTITION BY LIST (aggregate_type);
        CREATE TABLE orders PARTITION OF events FOR VALUES IN ('order');
        CREATE TABLE others PARTITION OF events DEFAULT;
        INSERT INTO events SELECT * FROM old; DROP TABLE old";
    let length = "ADD CONSTRAINT short CHECK (length(event_type) < 5)";
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place.run(partitioned).await;
        let before = rows(&place, "events").await;
        let bench = Bench::new(&place, BY).await;
        bench.migrate().await.unwrap();
        let known = bench.newest().await;
        place
            .run(&format!(
                "ALTER TABLE others {length}; ALTER TABLE orders {length}"
            ))
            .await;
        let error = bench.in_place.outlook(&known, None).await.unwrap_err();
        assert!(
            error
                .hint()
                .unwrap()
                .contains("ALTER TABLE orders DROP CONSTRAINT short"),
            "{error:?}"
        );
        place.run("ALTER TABLE orders DROP CONSTRAINT short").await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().restored, 2);
        assert_eq!(rows(&place, "events").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_was_null_and_cannot_be_now_is_named() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        place
            .run(
                "ALTER TABLE events ALTER metadata DROP NOT NULL;
                 UPDATE events SET metadata = NULL WHERE event_type = 'Placed'",
            )
            .await;
        let before = rows(&place, "events").await;
        let bench = Bench::new(&place, BY).await;
        bench.migrate().await.unwrap();
        place
            .run(
                "UPDATE events SET metadata = '{}' WHERE metadata IS NULL;
                 ALTER TABLE events ALTER metadata SET NOT NULL",
            )
            .await;
        // the table is as it was opened
        let bench = Bench::new(&place, BY).await;
        let known = bench.newest().await;
        let error = bench.in_place.roll_back(&known, "test", None).await;
        let error = error.unwrap_err();
        assert!(
            error.to_string().contains("metadata cannot be null now"),
            "{error:?}"
        );
        let hint = r#"ALTER TABLE "public"."events" ALTER COLUMN "metadata" DROP NOT NULL"#;
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        place
            .run(
                "ALTER TABLE events ALTER metadata DROP NOT NULL;
                 UPDATE events SET metadata = NULL WHERE event_type = 'Put'",
            )
            .await;
        let bench = Bench::new(&place, BY).await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().restored, 2);
        assert_eq!(rows(&place, "events").await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_column_was_renamed_a_layout_file_undoes_the_migration() {
    for place in places().await {
        let text = "SELECT ROW(e.*)::text FROM events e ORDER BY 1";
        let before = altered(&place, text, "ALTER TABLE events RENAME payload TO body").await;
        let error = place.layout("").await.unwrap_err();
        let said = "public.events would be of cqrs-es if it had payload";
        assert!(error.to_string().contains(said), "{error:?}");
        assert!(
            error.hint().unwrap().contains("esm layout new"),
            "{error:?}"
        );
        let error = place.layout("?layout=cqrs-es").await.unwrap_err();
        assert!(
            error.to_string().contains("payload, no such column"),
            "{error:?}"
        );

        let file = layout_with("cqrs-es", "payload = \"body\"");
        let parameters = format!("?layout={}", file.path().display());
        let bench = Bench::at(&place, &parameters, BY).await;
        let known = bench.newest().await;
        let undone = bench.in_place.roll_back(&known, "test", None).await;
        assert_eq!(undone.unwrap().restored, 2);
        assert_eq!(texts(&place, text).await, before);
    }
}

/// A file with the layout of a library whose payload is named otherwise.
pub(super) fn layout_with(library: &str, payload: &str) -> tempfile::NamedTempFile {
    let layout = BuiltIn::find(library).unwrap().text();
    let line = layout.lines().find(|line| line.starts_with("payload = "));
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), layout.replace(line.unwrap(), payload)).unwrap();
    file
}

/// Grants what `esm migrate` asks for without dropped events: no right on the whole table.
fn grants(role: &str) -> String {
    format!(
        "GRANT SELECT, UPDATE (event_type, event_version, payload, metadata) ON events TO {role};
         GRANT USAGE, CREATE ON SCHEMA esm_in_place TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA esm_in_place TO {role}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_trigger_refuses_old_code_the_end_of_an_undo_needs_no_lock_of_the_table() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let before = rows(&place, "events").await;
        let owner = Bench::new(&place, BY).await;
        let (theirs, role) = place.as_role().await;
        for trigger in ["was never created", "was removed by somebody"] {
            let refuses = |planned: &mut esm_core::protocol::plan::PlannedMigration| {
                planned.on_retired = Some(OnRetired::Refuse);
            };
            let running = owner.begin_with(refuses).await.unwrap();
            running.rewrite().await.unwrap();
            if trigger == "was never created" {
                running.leave().await;
            } else {
                assert!(running.settle(9).await.unwrap().is_done);
                running.end(false).await.unwrap();
                remove_by_hand(&place).await;
            }
            place.run(&grants(&role)).await;
            let bench = Bench::new(&theirs, BY).await;
            let known = bench.newest().await;
            let undone = bench.in_place.roll_back(&known, "test", None).await;
            assert_eq!(undone.unwrap().restored, 2, "{trigger}");
            assert_eq!(bench.newest().await.status, RewriteStatus::RolledBack);
            assert_eq!(rows(&place, "events").await, before, "{trigger}");
        }
        place.drop_role(&role).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_whose_trigger_somebody_removed_is_finished() {
    for place in places().await {
        place.run(tables_of("cqrs-es")).await;
        let bench = Bench::new(&place, BY).await;
        let refuses = |planned: &mut esm_core::protocol::plan::PlannedMigration| {
            planned.on_retired = Some(OnRetired::Refuse);
        };
        let running = bench.begin_with(refuses).await.unwrap();
        running.rewrite().await.unwrap();
        assert!(running.settle(9).await.unwrap().is_done);
        remove_by_hand(&place).await;
        // another transaction holds the table against triggers, as vacuum does
        let other = place.connect().await.unwrap().open().await.unwrap();
        let hold = "BEGIN; LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE";
        other.batch_execute(hold).await.unwrap();
        assert_eq!(running.end(true).await.unwrap(), RewriteStatus::Finished);
        other.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// Removes the trigger that refuses old code, and its function.
async fn remove_by_hand(place: &Place) {
    let function = "SELECT format('DROP FUNCTION %s CASCADE', oid::regprocedure) FROM pg_proc
        WHERE proname LIKE 'refuse_%'";
    let drop = texts(place, function).await;
    assert_eq!(drop.len(), 1);
    place.run(&drop[0]).await;
}
