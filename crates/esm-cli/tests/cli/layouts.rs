//! The tables of other libraries in PostgreSQL, from the command line.

use std::process::{Child, Command, Stdio};

use esm_postgres::{Database, Settings};
use esm_testkit::containers::{self, Postgres, PostgresVersion};
use esm_testkit::sweep;

use crate::esm::{Esm, Ran};

pub(crate) const CQRS_ES: &str =
    include_str!("../../../esm-postgres/tests/suite/libraries/cqrs-es.sql");
const MESSAGE_DB: &str = include_str!("../../../esm-postgres/tests/suite/libraries/message-db.sql");
const MARTEN: &str = include_str!("../../../esm-postgres/tests/suite/libraries/marten.sql");

/// A database, and the program that works on it.
pub(crate) struct Shop {
    pub(crate) esm: Esm,
    address: String,
    password: &'static str,
}

/// A database with these tables on the newest version, and by night on each version whose server can
/// be started: what differs between them is tested by the library's own tests, on both.
pub(crate) async fn shops(tables: &str) -> Vec<Shop> {
    let mut shops = Vec::new();
    let all = [PostgresVersion::V18, PostgresVersion::V15];
    let versions = if sweep::is_full() {
        &all[..]
    } else {
        &all[..1]
    };
    for version in versions.iter().copied() {
        if let Some(server) = containers::postgres(version).await {
            shops.push(Shop::on(&server, tables).await);
        }
    }
    shops
}

impl Shop {
    /// A database with these tables on a server.
    pub(crate) async fn on(server: &Postgres, tables: &str) -> Self {
        let shop = Self {
            esm: Esm::new(),
            address: server.database().await,
            password: server.password(),
        };
        shop.change(tables).await;
        shop
    }

    /// The same database on another server.
    pub(crate) fn at(&self, server: &Postgres) -> Self {
        let (_, database) = self.address.rsplit_once('/').expect("a database");
        Self {
            esm: Esm::new(),
            address: format!("{}/{database}", server.url()),
            password: self.password,
        }
    }

    /// Runs statements, as an application does.
    pub(crate) async fn change(&self, sql: &str) {
        let settings = Settings::new(&self.address, |name| {
            (name == "PGPASSWORD").then(|| self.password.to_owned())
        });
        let database = Database::connect(settings.expect("an address"))
            .await
            .expect("a connection");
        let client = database.open().await.expect("a connection");
        client.batch_execute(sql).await.expect("the statements run");
    }

    /// The first value of a query.
    pub(crate) async fn value(&self, query: &str) -> Option<String> {
        let settings = Settings::new(&self.address, |name| {
            (name == "PGPASSWORD").then(|| self.password.to_owned())
        });
        let database = Database::connect(settings.expect("an address"));
        let client = database.await.expect("a connection").open().await;
        let found = client.expect("a connection").query_opt(query, &[]).await;
        found.ok()??.get(0)
    }

    /// Starts the program, and does not wait for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("esm runs")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.esm.command(arguments);
        command
            .env("ESM_STORE", &self.address)
            .env("PGPASSWORD", self.password);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().expect("esm runs"))
    }
}

const RENAME: &str = r#"if .type == "Placed" then .type = "OrderPlaced"
    | .data = {OrderPlaced: .data.Placed} | .schemaversion = 2 else . end"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_reads_works_on_the_tables_of_another_library() {
    for shop in shops(CQRS_ES).await {
        let list = shop.run(&["list"]);
        list.succeeded().printed("order/2/b");
        let said = "layout cqrs-es, recognised by the table public.events";
        assert!(list.stderr.contains(said), "{list:?}");
        let shown = shop.run(&["show", "order/1", "-o", "json"]).json();
        assert_eq!(shown["events"], 2);
        let table = shop.run(&["show", "order/1"]);
        assert!(!table.succeeded().stdout.contains("1970"), "{table:?}");
        let read = shop
            .run(&["read", "order/1", "--from", "1", "-o", "json"])
            .json();
        assert_eq!(
            (&read["type"], &read["event_version"]),
            (&"Paid".into(), &"2.1".into())
        );
        shop.run(&["verify", "--all"]).succeeded();
        shop.change("INSERT INTO events VALUES ('gap', 'g', 2, 't', '1', '{}', '{}')")
            .await;
        shop.run(&["verify", "--all"])
            .failed(9, &["numbers are missing in streams: gap, g"]);
        shop.run(&["read", "gap/g"])
            .failed(9, &["event 1 is missing, in gap/g"]);
        shop.change("DELETE FROM events WHERE aggregate_type = 'gap'")
            .await;
        shop.run(&["status"]).succeeded();

        let transform = shop.esm.file("v2.jq", RENAME);
        let plan = shop.run(&["plan", "--all", "--transform", &transform]);
        plan.succeeded().printed("Placed").printed("both schemas");
        plan.printed("restored from the archive")
            .printed("need a down, of: OrderPlaced v2");
        let plan = shop
            .run(&["plan", "--all", "--transform", &transform, "-o", "json"])
            .json();
        assert_eq!((&plan["objects"], &plan["events"]), (&3.into(), &4.into()));
        let drop = shop.esm.file("drop.jq", r#"select(.type != "Paid")"#);
        shop.run(&["plan", "--all", "--transform", &drop])
            .failed(7, &[])
            .printed("an event keeps its number in place");

        let backups = shop.esm.url("backups");
        shop.run(&["backup", "create", "--all", "--backup", &backups])
            .succeeded();
        let listed = shop
            .esm
            .run(&["backup", "list", "--backup", &backups, "--store", &backups]);
        listed.succeeded().printed("4");

        // an export becomes a store of esm's, with the same events
        let export = shop.run(&["export", "--all"]);
        export.succeeded();
        assert!(
            export
                .stdout
                .contains(r#""data":{"Placed": {"cents":  42.00}}"#),
            "{export:?}"
        );
        shop.esm.import(&export.stdout);
        assert_eq!(shop.esm.export(), export.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_rewrite_in_place_writes_to_the_tables_of_another_library() {
    for shop in shops(CQRS_ES).await {
        for arguments in [
            &["import"][..],
            &["cutover", "0192d3a0-7c1e-7aaa-8bbb-0123456789ab"],
            &["watch", "0192d3a0-7c1e-7aaa-8bbb-0123456789ab"],
            &["store", "init"],
            &["backup", "create", "--all"],
        ] {
            let said = "the command does not work on the tables of another library";
            shop.run(arguments).failed(2, &[said, "hint:", "export"]);
        }
        let to = shop.esm.url("new");
        let init = shop.esm.run(&["store", "init", "--store", &to]);
        init.succeeded();
        let moved = shop.run(&["plan", "--all", "--to", &to]);
        moved.failed(2, &["rewritten in place move to no other store", "import"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_all_events_is_exported_where_a_library_keeps_it() {
    for shop in shops(MESSAGE_DB).await {
        let export = shop.run(&["export", "--all", "--order", "global"]);
        export.succeeded();
        let lines = export.stdout.lines();
        let lines = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let types: Vec<_> = lines.map(|event| event["type"].clone()).collect();
        assert_eq!(types, ["Opened", "Counted", "Deposited", "Withdraw"]);
        let one = shop.run(&["export", "account/1", "--order", "global"]);
        assert_eq!(one.succeeded().stdout.lines().count(), 2);
    }
    for shop in shops(CQRS_ES).await {
        shop.run(&["export", "--all", "--order", "global"])
            .failed(2, &["layout has no global order: cqrs-es"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_checked_column_by_column_and_drafted() {
    for shop in shops(MARTEN).await {
        let check = shop.run(&["layout", "check"]);
        check
            .succeeded()
            .printed("the database has the layout marten");
        check.printed("may be null; an event with null there is in no stream");
        shop.change(
            "ALTER TABLE mt_events RENAME data TO body;
             CREATE TABLE own (at bigserial, stream text NOT NULL, version int NOT NULL,
                 type text NOT NULL, data jsonb NOT NULL, UNIQUE (stream, version));
             INSERT INTO own (stream, version, type, data) VALUES ('7', 1, 'Placed', '{}')",
        )
        .await;
        let named = format!("{}?layout=marten", shop.address);
        let check = shop.run(&["layout", "check", "--store", &named]);
        check.failed(2, &[]).printed("1 thing to change");
        check.printed("- events.payload data: name one of seq_id, id,");
        let list = shop.run(&["list", "--store", &named]);
        list.failed(2, &["does not have the layout marten", "esm layout check"]);

        let file = shop.esm.path("own.toml");
        let file = file.to_str().unwrap();
        shop.run(&["layout", "new", "--table", "own", "--to", file])
            .succeeded();
        shop.run(&["layout", "new", "--table", "own", "--to", file])
            .failed(4, &[]);
        shop.run(&["layout", "check", file]).succeeded();
        let own = format!("{}?layout={file}", shop.address);
        let list = shop.run(&["list", "--store", &own]);
        list.succeeded().printed("object/7");
        assert!(!list.stderr.contains("recognised"), "{list:?}");
        shop.run(&["layout", "new", "--table", "none"])
            .failed(3, &["no such table: none"]);
    }
}

#[test]
fn the_layouts_that_are_built_in_are_listed_and_shown() {
    let esm = Esm::new();
    let list = esm.run(&["layout", "list"]);
    for name in ["cqrs-es", "emmett", "eventuous", "marten", "message-db"] {
        list.succeeded().printed(name);
        esm.run(&["layout", "show", name])
            .succeeded()
            .printed("[events]");
    }
    let shown = esm.run(&["layout", "show", "marten", "-o", "json"]).json();
    assert_eq!(shown["events"]["key"][0], "stream_id");
    esm.run(&["layout", "show", "axon"])
        .failed(3, &["unknown layout: axon"]);
    let file = esm.file("wrong.toml", "format = 1\nname = 7\n");
    esm.run(&["layout", "check", &file])
        .failed(2, &["wrong.toml", "line 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_connection_is_said_without_secrets() {
    for shop in shops(CQRS_ES).await {
        let mut wrong = shop.command(&["list"]);
        let wrong = Ran::new(
            wrong
                .env("PGPASSWORD", "s3cret")
                .output()
                .expect("esm runs"),
        );
        wrong.failed(
            8,
            &["password authentication failed", "hint:", "PGPASSWORD"],
        );
        assert!(!wrong.stderr.contains("s3cret"), "{wrong:?}");
        let address = shop.address.replace("postgres@", "postgres:s3cret@");
        let inside = shop.run(&["list", "--store", &address]);
        inside.failed(2, &["store address holds a password", "PGPASSWORD"]);
        assert!(!inside.stderr.contains("s3cret"), "{inside:?}");
        let encrypted = format!("{}?sslmode=verify-full", shop.address);
        shop.run(&["list", "--store", &encrypted])
            .failed(8, &["cannot connect"]);
    }
}
