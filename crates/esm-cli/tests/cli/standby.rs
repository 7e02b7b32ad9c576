//! A standby that streams from a primary, from the command line.

use esm_testkit::containers::{OwnPostgres, PostgresVersion};

use crate::layouts::{CQRS_ES, Shop};

const RENAME: &str = r#"if .type == "Placed" then .type = "OrderPlaced" else . end"#;

/// What commands that read print.
fn reads(shop: &Shop) -> Vec<String> {
    let commands = [
        &["list"][..],
        &["show", "order/1", "-o", "json"],
        &["read", "order/1"],
        &["export", "--all"],
        &["verify", "--all"],
        &["status", "--all"],
        &["layout", "check"],
    ];
    let printed = commands.iter().map(|command| {
        let ran = shop.run(command);
        format!("{command:?} {:?} {}", ran.code, ran.stdout)
    });
    printed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_can_be_read_and_is_refused_by_name_where_something_is_written() {
    for version in [PostgresVersion::V15, PostgresVersion::V18] {
        let Some(primary) = OwnPostgres::start(version).await else {
            continue;
        };
        let shop = Shop::on(&primary.server(), CQRS_ES).await;
        let Some(standby) = primary.standby().await else {
            continue;
        };
        let there = shop.at(&standby.server());
        let transform = shop.esm.file("v2.jq", RENAME);
        assert_eq!(reads(&there), reads(&shop));
        let backups = shop.esm.url("backups");
        there
            .run(&["backup", "create", "--all", "--backup", &backups])
            .succeeded();
        // a plan is made, and says so
        there
            .run(&["plan", "--all", "--transform", &transform])
            .failed(2, &[])
            .printed("changed\t2")
            .printed("a standby cannot be written to");
        there
            .run(&["migrate", "--all", "--transform", &transform])
            .failed(2, &["a standby cannot be written to", "the primary"]);

        // what the primary commits later arrives
        let done = shop
            .run(&["migrate", "--all", "--transform", &transform, "-o", "json"])
            .json();
        let id = done["migration"].as_str().unwrap();
        let finished = "SELECT status FROM esm_in_place.migration WHERE status = 'finished'";
        while there.value(finished).await.is_none() {}
        assert_eq!(reads(&there), reads(&shop));
        for command in [&["rollback", id][..], &["archive", "drop", id, "--yes"]] {
            there.run(command).failed(2, &["standby"]);
        }
        let own = format!("{}/postgres?schema=esm", standby.server().url());
        there
            .run(&["store", "init", "--store", &own])
            .failed(2, &["server is a standby"]);
        shop.run(&["rollback", id]).succeeded();
    }
}
