//! Events that are rewritten in the tables of another library, from the command line.

use serde_json::Value;

use crate::layouts::{CQRS_ES, Shop, shops};

/// The tag of the payload follows the type by itself.
const RENAME: &str =
    r#"if .type == "Placed" then .type = "OrderPlaced" | .schemaversion = 2 else . end"#;
const BACK: &str =
    r#"if .type == "OrderPlaced" then .type = "Placed" | .schemaversion = 1 else . end"#;

/// The events as they are read, each on a line.
fn events(shop: &Shop) -> String {
    let export = shop.run(&["export", "--all"]);
    export.succeeded().stdout.clone()
}

fn migrate(shop: &Shop, program: &str, more: &[&str]) -> Value {
    let transform = shop.esm.file("program.jq", program);
    let arguments = ["migrate", "--all", "--transform", &transform, "-o", "json"];
    shop.run(&[&arguments[..], more].concat()).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_migrated_and_rolled_back_from_the_command_line() {
    for shop in shops(CQRS_ES).await {
        let before = events(&shop);
        let dry = shop.esm.file("v2.jq", RENAME);
        shop.run(&["migrate", "--all", "--transform", &dry, "--dry-run"])
            .succeeded()
            .printed("nothing was written");
        assert_eq!(events(&shop), before);
        shop.run(&["status", "--all"])
            .succeeded()
            .printed("no migrations");

        let done = migrate(&shop, RENAME, &[]);
        assert_eq!(done["status"], "finished", "{done}");
        assert_eq!(
            (&done["rewritten"], &done["settled"]["swept"]),
            (&2.into(), &0.into())
        );
        let after = events(&shop);
        assert!(
            after.contains(r#""data":{"OrderPlaced":{"cents":  42.00}}"#),
            "{after}"
        );
        assert!(after.contains(r#""type":"OrderPlaced""#) && !after.contains(r#""Placed""#));

        let id = done["migration"].as_str().unwrap();
        shop.run(&["status"])
            .succeeded()
            .printed("no unfinished migrations");
        shop.run(&["status", "--all"])
            .succeeded()
            .printed("public.events");
        shop.run(&["status", &id[..8]])
            .succeeded()
            .printed("finished");
        let archives = shop.run(&["archive", "list", "-o", "json"]).json();
        assert_eq!(archives["archives"][0]["events"], 2, "{archives}");
        let transform = shop.esm.file("program.jq", RENAME);
        shop.run(&["migrate", "--all", "--transform", &transform])
            .succeeded()
            .printed("nothing to do");

        let outlook = shop.run(&["rollback", "--dry-run", "-o", "json"]).json();
        assert_eq!(outlook["undone"]["restored"], 2, "{outlook}");
        assert_eq!(events(&shop), after);
        shop.run(&["rollback"]).succeeded().printed("rolled back");
        assert_eq!(events(&shop), before);
        shop.run(&["rollback"])
            .failed(3, &["no migration to roll back"]);
        shop.run(&["archive", "drop", id]).failed(2, &["--yes"]);
        shop.run(&["archive", "drop", id, "--yes"])
            .succeeded()
            .printed("2 events removed");
        let archives = shop.run(&["archive", "list", "-o", "json"]).json();
        assert_eq!(archives["archives"][0]["events"], 0, "{archives}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_new_code_wrote_since_needs_a_down_to_roll_back() {
    for shop in shops(CQRS_ES).await {
        let before = events(&shop);
        migrate(&shop, RENAME, &[]);
        shop.change(
            "INSERT INTO events VALUES ('order', '1', 3, 'OrderPlaced', '2.0',
                 '{\"OrderPlaced\": {\"cents\": 1}}', '{}')",
        )
        .await;
        let with_new = events(&shop);
        shop.run(&["rollback"]).failed(
            2,
            &[
                "events came since that need a down: 1 of OrderPlaced v2",
                "--down",
            ],
        );
        assert_eq!(events(&shop), with_new);
        let down = shop.esm.file("down.jq", BACK);
        let undone = shop
            .run(&["rollback", "--down", &down, "-o", "json"])
            .json();
        assert_eq!(undone["undone"]["restored"], 2, "{undone}");
        assert_eq!(undone["undone"]["transformed_back"], 1, "{undone}");
        let after = events(&shop);
        let originals = after.lines().filter(|line| before.contains(line)).count();
        assert_eq!(originals, before.lines().count(), "{after}");
        assert!(after.contains(r#"{"Placed":{"cents": 1}}"#), "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rewritten_is_refused_before_anything_is_touched() {
    for shop in shops(CQRS_ES).await {
        let transform = shop.esm.file("v2.jq", RENAME);
        let migrate = ["migrate", "--all", "--transform", &transform];
        let with = |more: &[&str]| shop.run(&[&migrate[..], more].concat());
        let backups = shop.esm.url("backups");
        for (more, said) in [
            (&["--keep-going"][..], "--keep-going"),
            (&["--close-books"], "--close-books"),
            (&["--backup", &backups], "--backup"),
            (&["--requests-in-flight", "5"], "--requests-in-flight"),
        ] {
            with(more).failed(2, &[said, "hint:"]);
        }
        let drop = shop.esm.file("drop.jq", r#"select(.type != "Paid")"#);
        shop.run(&["migrate", "--all", "--transform", &drop])
            .failed(7, &[])
            .printed("an event keeps its number in place")
            .printed("make a placeholder of it");
        shop.change(
            "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER audit BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION audit()",
        )
        .await;
        with(&[]).failed(
            2,
            &[
                "triggers would run",
                "audit on public.events",
                "--allow-triggers",
            ],
        );
        let plan = shop.run(&["plan", "--all", "--transform", &transform]);
        plan.failed(2, &[]).printed("`esm migrate` refuses it");
        let kept = shop.esm.file("kept.jq", ".data.Placed.currency = \"EUR\"");
        shop.run(&["plan", "--all", "--transform", &kept, "--allow-triggers"])
            .failed(2, &[])
            .printed("because changed events keep their schema");
        shop.run(&["status", "--all"])
            .succeeded()
            .printed("no migrations");
        assert_eq!(
            with(&["--allow-triggers", "-o", "json"]).json()["rewritten"],
            2
        );
        let own = shop.esm.url("own");
        shop.esm
            .run(&["store", "init", "--store", &own])
            .succeeded();
        for command in [&["finish"][..], &["archive", "list"]] {
            let ran = shop.esm.run(&[command, &["--store", &own]].concat());
            ran.failed(2, &["for the tables of another library"]);
        }
    }
}
