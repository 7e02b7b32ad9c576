//! Stores in SQLite files.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Child;

use rusqlite::Connection;

use crate::esm::{self, Esm, Ran};
use crate::migrate::PROGRAM;
use crate::orders;

/// A store in a file, and the program that works on it.
struct File {
    esm: Esm,
}

impl File {
    fn new() -> Self {
        Self { esm: Esm::new() }
    }

    fn path(&self) -> PathBuf {
        self.esm.path("shop.db")
    }

    fn address(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.esm.command(arguments);
        command.env("ESM_STORE", self.address());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().expect("esm runs"))
    }

    fn import(&self, lines: &str) {
        let file = self.esm.file("lines", lines);
        self.run(&["import", &file]).succeeded();
    }

    fn export(&self) -> String {
        let ran = self.run(&["export", "--all"]);
        ran.succeeded();
        ran.stdout
    }

    /// A connection of another program.
    fn connection(&self) -> Connection {
        Connection::open(self.path()).expect("a database")
    }

    /// The cells that are in the file, once it has tables.
    fn cells(&self) -> u64 {
        let count = "SELECT count(*) FROM object WHERE key LIKE 'streams/%/c/%'";
        let connection = self.connection();
        let counted = connection.query_row(count, (), |row| row.get(0));
        counted.unwrap_or_default()
    }

    /// Waits until a process has written so many cells.
    fn wait_for(&self, cells: u64, child: &mut Child) {
        while self.cells() < cells {
            esm::is_at_work(child);
            std::thread::yield_now();
        }
    }

    fn program(&self) -> String {
        self.esm.file("v2.jq", PROGRAM)
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

#[test]
fn a_file_gives_what_a_directory_gives() {
    let (file, lines) = (File::new(), orders::sorted(20, 6));
    file.import(&lines);
    assert_eq!(file.export(), lines);
    let program = file.program();
    let migrate = ["migrate", "--all", "--transform", &program];
    let backups = format!("sqlite:{}", file.esm.path("backups.db").display());
    let with_backup = ["--backup", &backups, "--close-books", "--archive", &backups];
    file.run(&[&migrate[..], &with_backup].concat()).succeeded();
    assert_eq!(file.export(), migrated(&lines));
    file.run(&["verify", "--all"]).succeeded();
    let listed = file.run(&["backup", "list", "--backup", &backups]);
    listed.succeeded().printed("archive");

    let status = file.run(&["status", "--all", "-o", "json"]).json();
    let id = status["migrations"][0]["migration"]
        .as_str()
        .expect("an id");
    file.run(&["rollback", id]).succeeded();
    assert_eq!(file.export(), lines);
    let shown = file.run(&["store", "show"]);
    shown.succeeded().printed(&file.address());
    // one file, whatever the number of objects
    let files = std::fs::read_dir(file.esm.path("")).expect("a folder");
    let names = files.map(|entry| entry.expect("an entry").file_name());
    let of_shop = names.filter(|name| name.to_string_lossy().starts_with("shop.db"));
    assert!(of_shop.count() <= 3);
}

#[test]
fn streams_move_between_a_file_and_a_directory() {
    let (file, lines) = (File::new(), orders::sorted(5, 4));
    file.import(&lines);
    let directory = file.esm.url("directory");
    let there = ["--store", &directory];
    file.run(&[&["store", "init"][..], &there].concat())
        .succeeded();
    let program = file.program();
    let migrate = ["migrate", "--all", "--transform", &program, "--to"];
    file.run(&[&migrate[..], &[&directory]].concat())
        .succeeded();
    let other = ["--other-store", &directory];
    let moved = file.run(&[&["export", "--all"][..], &other].concat());
    assert_eq!(moved.succeeded().stdout, migrated(&lines));
    let back = ["migrate", "--all", "--again", "--to", &file.address()];
    file.run(&[&back[..], &other].concat()).succeeded();
    let moved = file.run(&[&["export", "--all"][..], &other].concat());
    assert_eq!(moved.succeeded().stdout, migrated(&lines));
}

#[test]
fn a_migration_that_was_killed_is_resumed_while_another_process_writes() {
    const ORDERS: usize = 60;
    let (file, lines) = (File::new(), orders::sorted(ORDERS, 5));
    file.import(&lines);
    let program = file.program();
    let migrate = ["migrate", "--name", "order", "--transform", &program];
    let slow = ["--concurrency=2", "--events-per-second=500"];
    let lease = ["--lock-lease=10s", "--lock-heartbeat=1s"];
    let arguments = [&migrate[..], &slow, &lease].concat();
    let mut child = file.command(&arguments).spawn().expect("esm starts");
    // each migrated order has a cell and a Close more
    file.wait_for((ORDERS + ORDERS / 4) as u64, &mut child);
    let other = orders::sorted(3, 4).replace("order/", "bill/");
    let other = other.replace("\"source\":\"order\"", "\"source\":\"bill\"");
    file.import(&other);
    child.kill().expect("esm is killed");
    child.wait().expect("esm ends");

    file.run(&["resume"]).succeeded().printed("migrated");
    let expected = format!("{other}{}", migrated(&lines));
    assert!(file.export() == expected, "{}", file.export());
    file.run(&["verify", "--all"]).succeeded();
}

#[test]
fn of_two_imports_at_once_one_is_killed_and_run_again() {
    let (file, lines) = (File::new(), orders::large(5_000));
    let mut child = file
        .command(&["import", "-"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("esm starts");
    let stdin = child.stdin.as_mut().expect("a pipe");
    let fed = stdin.write_all(lines.as_bytes());
    fed.and_then(|()| stdin.flush()).expect("esm reads");
    file.wait_for(2, &mut child);
    let other = orders::sorted(20, 3).replace("order/", "bill/");
    let other = other.replace("\"source\":\"order\"", "\"source\":\"bill\"");
    file.import(&other);
    child.kill().expect("esm is killed");
    child.wait().expect("esm ends");
    file.import(&lines);
    assert!(file.export() == format!("{other}{lines}"));
}

#[test]
fn an_address_that_is_wrong_is_refused_and_no_secret_repeated() {
    let esm = Esm::new();
    let (folder, missing) = (esm.path("folder"), esm.path("missing.db"));
    std::fs::create_dir(&folder).expect("a folder");
    let list = |address: &str| esm.run(&["list", "--store", address]);
    list("sqlite:").failed(2, &["names no file", "hint", "sqlite:/path"]);
    let secret = list("sqlite://me:s3cret@host/a.db");
    secret.failed(2, &["names a host"]);
    assert!(!secret.stderr.contains("s3cret"), "{secret:?}");
    let secret = list("sqlite:/a.db?key=s3cret");
    secret.failed(2, &["a query"]);
    assert!(!secret.stderr.contains("s3cret"), "{secret:?}");
    list(&format!("sqlite:{}", folder.display())).failed(2, &["is a directory", "sqlite:"]);
    list(&format!("sqlite:{}", missing.display())).failed(3, &["missing.db"]);
    assert!(!missing.exists());
}

#[test]
fn a_relative_address_is_kept_as_an_absolute_one() {
    let file = File::new();
    file.import(&orders::sorted(2, 2));
    let migrate = ["migrate", "--all", "--backup", "sqlite:kept.db"];
    let ran = file
        .command(&migrate)
        .current_dir(file.esm.path(""))
        .output();
    Ran::new(ran.expect("esm runs")).succeeded();
    let kept = format!("sqlite:{}", file.esm.path("kept.db").display());
    let count = "SELECT count(*) FROM object
        WHERE key LIKE 'journals/%' AND instr(CAST(body AS TEXT), ?1) > 0";
    let named: u64 = file
        .connection()
        .query_row(count, [&kept], |row| row.get(0))
        .expect("a count");
    assert!(named > 0, "{kept} is in no journal");
    assert!(file.esm.path("kept.db").exists());
}

#[test]
fn a_file_that_is_no_store_is_named_and_left_alone() {
    let file = File::new();
    let lines = file.esm.file("more", orders::sorted(1, 1));
    let refused = |code: i32, said: &str| {
        let before = std::fs::read(file.path()).expect("a file");
        for arguments in [&["list"][..], &["verify", "--all"], &["import", &lines]] {
            file.run(arguments).failed(code, &[said, "shop.db", "hint"]);
        }
        assert_eq!(std::fs::read(file.path()).expect("a file"), before);
    };
    std::fs::write(file.path(), "no database, but long enough".repeat(100)).expect("a file");
    refused(9, "no SQLite database");
    std::fs::remove_file(file.path()).expect("a file");
    let tables = "CREATE TABLE customer (name TEXT)";
    file.connection().execute_batch(tables).expect("a table");
    refused(2, "another program");
    std::fs::remove_file(file.path()).expect("a file");
    file.import(&orders::sorted(1, 1));
    let newer = "PRAGMA user_version = 2; PRAGMA journal_mode = DELETE";
    file.connection().execute_batch(newer).expect("a version");
    refused(2, "newer format 2");
}

#[test]
fn a_lock_that_another_program_holds_is_named_with_it() {
    let file = File::new();
    file.import(&orders::sorted(1, 1));
    let other = file.connection();
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("a transaction");
    let lines = file.esm.file("more", orders::sorted(2, 2));
    let process = if cfg!(target_os = "linux") {
        format!("(process {}", std::process::id())
    } else {
        "locked by another process".to_owned()
    };
    file.run(&["import", &lines]).failed(
        8,
        &["locked by another process", &process, "shop.db", "hint"],
    );
    // readers do not wait
    assert_eq!(file.export(), orders::sorted(1, 1));
    other.execute_batch("COMMIT").expect("an end");
    file.run(&["import", &lines]).succeeded();
    assert_eq!(file.export(), orders::sorted(2, 2));
}

#[test]
fn a_lost_marker_is_adopted_and_a_copy_gets_an_id_of_its_own() {
    let file = File::new();
    file.import(&orders::sorted(3, 4));
    file.run(&["migrate", "--all"]).succeeded();
    let exported = file.export();
    let copy = format!("sqlite:{}", file.esm.path("copy.db").display());
    let vacuum = "VACUUM INTO ?1";
    let to = file.esm.path("copy.db").display().to_string();
    file.connection().execute(vacuum, [to]).expect("a copy");
    file.run(&["list", "--other-store", &copy])
        .failed(2, &["copy", "shop.db", "copy.db", "esm store new-id"]);
    file.run(&["store", "new-id", "--store", &copy, "--yes"])
        .succeeded();
    let of_copy = file.run(&["export", "--all", "--store", &copy]);
    assert_eq!(of_copy.succeeded().stdout, exported);
    // one file under two addresses is no copy
    let (url, same) = (file.path().display().to_string(), ["list", "--other-store"]);
    file.run(&[&same[..], &[&format!("sqlite://{url}")]].concat())
        .succeeded();

    let lost = "DELETE FROM object WHERE key = 'esm.json'";
    file.connection().execute(lost, ()).expect("a deletion");
    file.run(&["list"]).failed(9, &["esm.json", "--adopt"]);
    file.run(&["store", "init", "--adopt"]).succeeded();
    assert_eq!(file.export(), exported);
}

/// A byte of every page is changed, each in a copy: what is read is an error or right.
#[test]
fn a_changed_byte_is_found_or_changes_nothing() {
    const PAGE: usize = 4096;
    let file = File::new();
    file.import(&orders::sorted(12, 3));
    let program = file.program();
    file.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    let exported = file.export();
    let truncate = "PRAGMA wal_checkpoint(TRUNCATE)";
    let connection = file.connection();
    let truncated = connection.query_row(truncate, (), |row| row.get::<_, i64>(0));
    assert_eq!(truncated.expect("a checkpoint"), 0);
    drop(connection);
    let sound = std::fs::read(file.path()).expect("a file");
    let mut found = 0;
    for page in 0..sound.len() / PAGE {
        let mut damaged = sound.clone();
        // in the header of the page, where it begins, and then ever deeper in it
        let at = page * PAGE + if page == 0 { 100 } else { 0 } + page * 37 % (PAGE - 100);
        damaged[at] ^= 0x15;
        std::fs::write(file.path(), &damaged).expect("a file");
        let verified = file.run(&["verify", "--all"]);
        if verified.code == Some(0) {
            assert_eq!(file.export(), exported, "byte {at}");
        } else {
            assert_eq!(verified.code, Some(9), "byte {at}: {verified:?}");
            let reported = format!("{}{}", verified.stdout, verified.stderr);
            assert!(reported.contains("shop.db"), "byte {at}: {verified:?}");
            found += 1;
        }
    }
    assert!(found > 5, "{found}");
}
