//! Killed and stopped in the middle.
#![cfg(unix)]

use std::io::Write as _;
use std::process::{Child, Command};

use crate::esm::{self, Esm, Ran};
use crate::orders;

/// Feeds events of one object until some were written, and leaves standard input open.
fn half_imported(esm: &Esm) -> Child {
    let mut child = esm.start(&["import", "-"]);
    let stdin = child.stdin.as_mut().expect("a pipe");
    stdin
        .write_all(orders::large(5_000).as_bytes())
        .and_then(|()| stdin.flush())
        .expect("esm reads");
    // the first are written while it waits for more
    while cells(esm) < 2 {
        esm::is_at_work(&mut child);
        std::thread::yield_now();
    }
    child
}

fn cells(esm: &Esm) -> usize {
    let files = esm.files();
    let cells = files.iter().filter(|(path, _)| {
        let in_cells = path.parent().is_some_and(|p| p.ends_with("c"));
        in_cells && !path.to_string_lossy().contains('#')
    });
    cells.count()
}

#[test]
fn an_import_that_was_killed_is_run_again() {
    let esm = Esm::new();
    let mut child = half_imported(&esm);
    child.kill().unwrap();
    child.wait().unwrap();

    let lines = orders::large(5_200);
    let file = esm.file("all", &lines);
    let again = esm.run(&["import", &file, "-o", "json"]).succeeded().json();
    let number = |field: &str| again[field].as_u64().expect("a number");
    assert!(number("present") >= 2, "{again}");
    assert_eq!(number("present") + number("imported"), 5_200, "{again}");
    assert_eq!(esm.export(), lines);
}

#[test]
fn an_interrupt_stops_at_a_safe_point_and_says_how_to_go_on() {
    let esm = Esm::new();
    let mut child = half_imported(&esm);
    // open to the end: were it closed, the input might end before the interrupt is noticed
    let stdin = child.stdin.take();
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    let ran = Ran::new(child.wait_with_output().unwrap());
    drop(stdin);
    ran.failed(
        130,
        &[
            "stopping at a safe point",
            "run the same command again to continue",
        ],
    );
    // the last events may still be in the pipe
    ran.printed("imported\t").printed("events read\t");
    assert!(!ran.stdout.contains("imported\t0"), "{}", ran.stdout);

    esm.import(&orders::large(5_000));
    assert_eq!(esm.export(), orders::large(5_000));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3_000));
    let mut child = esm.start(&["export", "--all"]);
    drop(child.stdout.take());
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

/// Starts a migration of many orders and waits until some of them are cut over.
fn half_migrated(esm: &Esm, orders: usize) -> Child {
    esm.import(&orders::sorted(orders, 5));
    let program = esm.file("v2.jq", crate::migrate::PROGRAM);
    let migrate = ["migrate", "--all", "--transform", &program];
    // who looks is not to come when it is over
    let slow = ["--concurrency=2", "--events-per-second=500"];
    let lease = ["--lock-lease=10s", "--lock-heartbeat=1s"];
    let mut child = esm.start(&[&migrate[..], &slow, &lease].concat());
    // each migrated order has a cell and a Close more
    while cells(esm) < orders + orders / 4 {
        esm::is_at_work(&mut child);
        std::thread::yield_now();
    }
    child
}

/// The result of a migration that was not interrupted.
fn migrated(orders: usize) -> String {
    let esm = Esm::new();
    esm.import(&orders::sorted(orders, 5));
    let program = esm.file("v2.jq", crate::migrate::PROGRAM);
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded();
    esm.export()
}

#[test]
fn a_migration_that_was_killed_is_resumed_with_the_same_result() {
    const ORDERS: usize = 150;
    let esm = Esm::new();
    let mut child = half_migrated(&esm, ORDERS);
    child.kill().unwrap();
    child.wait().unwrap();
    let status = esm.run(&["status", "-o", "json"]).succeeded().json();
    assert_eq!(status["migrations"][0]["status"], "in_progress");

    // the lock of the dead holder expires first, unless it is known that its process has ended
    esm.run(&["resume"]).succeeded().printed("migrated");
    assert_eq!(esm.export(), migrated(ORDERS));
    esm.run(&["verify", "--all"]).succeeded();
}

#[test]
fn a_migration_that_was_stopped_says_how_to_go_on_and_does() {
    const ORDERS: usize = 150;
    let esm = Esm::new();
    let child = half_migrated(&esm, ORDERS);
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    let ran = Ran::new(child.wait_with_output().unwrap());
    ran.failed(
        130,
        &["stopping at a safe point", "esm resume", "esm rollback"],
    );
    let status = esm.run(&["status", "-o", "json"]).succeeded().json();
    assert_eq!(status["migrations"][0]["status"], "paused");
    esm.run(&["resume"]).succeeded();
    assert_eq!(esm.export(), migrated(ORDERS));
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn a_holder_that_was_frozen_finds_itself_replaced() {
    const ORDERS: usize = 150;
    let esm = Esm::new();
    let child = half_migrated(&esm, ORDERS);
    signal(&child, "-STOP");
    let holder = format!(":{}:", child.id());
    let program = esm.file("v2.jq", crate::migrate::PROGRAM);
    let again = ["migrate", "--all", "--transform", &program];
    esm.run(&again)
        .failed(5, &["not finished", &holder, "hint"]);
    esm.run(&["plan", "--all", "--transform", &program])
        .failed(5, &[])
        .printed("is not finished");
    let locks = esm.run(&["lock", "list", "-o", "json"]).succeeded().json();
    let lock = &locks["locks"][0];
    assert!(
        lock["holder"].as_str().is_some_and(|h| h.contains(&holder)),
        "{lock}"
    );
    let name = lock["name"].as_str().unwrap();
    esm.run(&["lock", "break", name]).failed(2, &["--yes"]);
    esm.run(&["lock", "break", name, "--yes"])
        .succeeded()
        .printed(&holder);

    esm.run(&["resume"]).succeeded();
    let before = esm.export();
    signal(&child, "-CONT");
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(esm.export(), before);
    assert_eq!(esm.export(), migrated(ORDERS));
    esm.run(&["verify", "--all"]).succeeded();
}
