//! A store of esm's own in PostgreSQL, from the command line.

use std::process::{Child, Command};

use esm_postgres::{Database, Query, Settings};
use esm_testkit::containers::{self, PostgresVersion};

use crate::esm::{self, Esm, Ran};
use crate::migrate::PROGRAM;
use crate::orders;

/// A schema in a database of its own, and the program that works on it.
struct Shop {
    esm: Esm,
    address: String,
    password: &'static str,
}

impl Shop {
    async fn new() -> Option<Self> {
        let server = containers::postgres(PostgresVersion::V18).await?;
        Some(Self {
            esm: Esm::new(),
            address: format!("{}?schema=shop", server.database().await),
            password: server.password(),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.esm.command(arguments);
        command
            .env("ESM_STORE", &self.address)
            .env("PGPASSWORD", self.password);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::new(self.command(arguments).output().expect("esm runs"));
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains("postgres:postgres"), "{ran:?}");
        ran
    }

    fn import(&self, lines: &str) {
        let file = self.esm.file("lines", lines);
        self.run(&["import", &file, "--create"]).succeeded();
    }

    fn export(&self) -> String {
        let ran = self.run(&["export", "--all"]);
        ran.succeeded();
        ran.stdout
    }

    /// Waits until a process has written so many cells.
    async fn wait_for(&self, cells: i64, child: &mut Child) {
        let settings = Settings::new(&self.address, |name| {
            (name == "PGPASSWORD").then(|| self.password.to_owned())
        });
        let settings = settings.expect("the address is valid");
        let database = Database::connect(settings).await.expect("a connection");
        let count = "SELECT count(*) FROM shop.object WHERE key LIKE 'streams/%/c/%'";
        let mut written = 0;
        while written < cells {
            esm::is_at_work(child);
            let rows = database.read(&Query::new(count)).await.expect("a count");
            written = rows[0].get(0);
        }
    }
}

/// What a migration of these lines in a directory gives.
fn migrated(lines: &str) -> String {
    let esm = Esm::new();
    esm.import(lines);
    let program = esm.file("v2.jq", PROGRAM);
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    esm.export()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_gives_what_a_directory_gives() {
    let Some(shop) = Shop::new().await else {
        return;
    };
    let lines = orders::sorted(10, 5);
    let file = shop.esm.file("first", &lines);
    // nothing is created on a server without being requested
    shop.run(&["import", &file]).failed(3, &["no esm store"]);
    shop.run(&["list"]).failed(3, &["no esm store"]);
    shop.import(&lines);
    assert_eq!(shop.export(), lines);
    let program = shop.esm.file("v2.jq", PROGRAM);
    let migrate = ["migrate", "--all", "--transform", &program];
    let backup = ["--backup", &shop.address, "--close-books"];
    shop.run(&[&migrate[..], &backup].concat()).succeeded();
    assert_eq!(shop.export(), migrated(&lines));
    shop.run(&["verify", "--all"]).succeeded();
    let shown = shop.run(&["store", "show"]);
    shown.succeeded().printed("?schema=shop");
    let status = shop.run(&["status", "--all", "-o", "json"]).json();
    let id = status["migrations"][0]["migration"]
        .as_str()
        .expect("an id");
    shop.run(&["rollback", id]).succeeded();
    assert_eq!(shop.export(), lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_killed_is_resumed_while_another_process_writes() {
    const ORDERS: usize = 60;
    let Some(shop) = Shop::new().await else {
        return;
    };
    let lines = orders::sorted(ORDERS, 5);
    shop.import(&lines);
    let program = shop.esm.file("v2.jq", PROGRAM);
    let migrate = ["migrate", "--name", "order", "--transform", &program];
    let slow = ["--concurrency=2", "--events-per-second=100"];
    let lease = ["--lock-lease=10s", "--lock-heartbeat=1s"];
    let arguments = [&migrate[..], &slow, &lease].concat();
    let mut child = shop.command(&arguments).spawn().expect("esm starts");
    // each migrated order has a cell and a Close more
    let some = (ORDERS + ORDERS / 4) as i64;
    shop.wait_for(some, &mut child).await;
    let other = orders::sorted(3, 4).replace("order/", "bill/");
    let other = other.replace("\"source\":\"order\"", "\"source\":\"bill\"");
    shop.import(&other);
    child.kill().expect("esm is killed");
    child.wait().expect("esm ends");

    shop.run(&["resume"]).succeeded().printed("migrated");
    let expected = format!("{other}{}", migrated(&lines));
    assert!(shop.export() == expected, "{}", shop.export());
    shop.run(&["verify", "--all"]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_move_from_a_directory_into_a_schema_and_an_address_holds_no_password() {
    let Some(shop) = Shop::new().await else {
        return;
    };
    let lines = orders::sorted(4, 4);
    shop.run(&["store", "init"]).succeeded();
    let directory = shop.esm.url("store");
    let file = shop.esm.file("lines", &lines);
    let home = ["--store", &directory];
    shop.run(&[&["import", &file][..], &home].concat())
        .succeeded();
    let to = ["migrate", "--all", "--to", &shop.address];
    shop.run(&[&to[..], &home].concat()).succeeded();
    let there = ["--other-store", &shop.address];
    let moved = shop.run(&[&["export", "--all"][..], &home, &there].concat());
    assert_eq!(moved.succeeded().stdout, lines);

    let secret = shop.address.replace("postgres@", "postgres:s3cret@");
    let refused = shop.run(&["list", "--store", &secret]);
    refused.failed(2, &["password", "PGPASSWORD"]);
    assert!(!refused.stderr.contains("s3cret"), "{refused:?}");
}
