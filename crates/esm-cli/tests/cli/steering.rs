//! A migration that runs in one process is steered and watched from others.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;

use serde_json::Value;

use crate::esm::{Esm, Ran, is_at_work};
use crate::orders;

/// One order with this many events.
fn order(events: usize) -> String {
    orders::sorted(1, events)
}

/// A store with that order, and a migration of it that has begun.
pub(crate) fn begun(events: usize, options: &[&str]) -> (Esm, Child) {
    let esm = Esm::new();
    esm.import(&order(events));
    let migrate = [&["migrate", "--all", "--progress", "off"], options].concat();
    let mut child = esm.command(&migrate).spawn().expect("esm starts");
    while !look(&esm).is_some_and(|seen| seen["progress"].is_object()) {
        is_at_work(&mut child);
    }
    (esm, child)
}

/// What is seen of the migration that is on; nothing before it is planned.
fn look(esm: &Esm) -> Option<Value> {
    let ran = esm.run(&["watch", "--once", "--output", "json"]);
    match ran.code {
        Some(3) => None,
        _ => Some(ran.succeeded().json()),
    }
}

/// Looks until it is as wanted; the test's own time limit ends a wait for what never comes.
pub(crate) fn watch(esm: &Esm, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Some(seen) = look(esm).filter(&wanted) {
            return seen;
        }
    }
}

/// The migration of an object, as soon as it waits for the command to cut over.
fn waits_for_its_command(esm: &Esm, object: &str, child: &mut Child) -> String {
    loop {
        is_at_work(child);
        let migrations = esm.run(&["status", "-o", "json"]).succeeded().json();
        let migrations = migrations["migrations"].as_array().expect("migrations");
        let of_object = |seen: &&Value| seen["plan"]["scope"]["objects"][0] == object;
        let Some(found) = migrations.iter().find(of_object) else {
            continue;
        };
        let migration = found["migration"].as_str().expect("an id");
        let seen = esm.run(&["watch", migration, "--once", "-o", "json"]);
        if seen.succeeded().json()["progress"]["waiting_for"] == "the command to cut over" {
            return migration.to_owned();
        }
    }
}

pub(crate) fn ended(child: Child) -> Ran {
    Ran::new(child.wait_with_output().expect("esm ends"))
}

#[test]
fn it_is_paused_slowed_down_hurried_and_goes_on() {
    let (esm, child) = begun(600, &["--events-per-second", "100"]);
    let paused = esm.run(&["pause", "--author", "eve"]);
    paused.succeeded();
    let seen = watch(&esm, |seen| seen["progress"]["status"] == "paused");
    assert_eq!(seen["desired"]["paused_by"], "eve");
    let line = esm.run(&["watch", "--once"]);
    assert!(
        line.stdout
            .contains("waiting for being resumed; paused by eve"),
        "{}",
        line.stdout
    );

    let again = esm.run(&["pause"]);
    assert_eq!(again.code, Some(4), "{}", again.stdout);
    assert!(
        again
            .stdout
            .contains("refused: it is paused already, by eve"),
        "{}",
        again.stdout
    );

    let set = esm.run(&[
        "set",
        "--events-per-second",
        "unlimited",
        "--output",
        "json",
    ]);
    set.succeeded();
    assert_eq!(set.json()["answer"]["answer"], "done");
    let resumed = esm.run(&["resume"]);
    resumed.succeeded();
    assert!(
        resumed.stdout.contains("resume: done"),
        "{}",
        resumed.stdout
    );
    ended(child).succeeded();
    assert_eq!(esm.export().lines().count(), 600);
}

#[test]
fn a_cutover_waits_for_its_command() {
    let (esm, child) = begun(20, &["--cutover", "manual"]);
    watch(&esm, |seen| {
        seen["progress"]["waiting_for"] == "the command to cut over"
    });
    let withdrawn = esm.run(&["cutover", "--withdraw"]);
    assert_eq!(withdrawn.code, Some(4), "{}", withdrawn.stdout);
    esm.run(&["cutover"]).succeeded();
    ended(child).succeeded();
    let over = esm.run(&["cutover"]);
    assert_eq!(over.code, Some(3), "{}", over.stderr);
}

#[test]
fn one_that_ends_while_its_lock_is_waited_for_leaves_nothing_to_resume() {
    let (esm, at_work) = begun(20, &["--cutover", "manual"]);
    let status = esm.run(&["status", "-o", "json"]).succeeded().json();
    let migration = &status["migrations"][0]["migration"];
    let migration = migration.as_str().expect("an id");
    let waiting = |arguments: &[&str]| {
        let log = ["--log", "debug", "--progress", "off"];
        let mut child = esm.command(&[arguments, &log].concat()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("waiting for the lock") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
        }
        // its pipe stays open, and empty
        let rest = std::thread::spawn(move || {
            let mut rest = String::new();
            said.read_to_string(&mut rest).unwrap();
            rest
        });
        move || {
            let mut ran = ended(child);
            ran.stderr = rest.join().unwrap();
            ran
        }
    };
    let (found, named) = (waiting(&["resume"]), waiting(&["resume", migration]));
    esm.run(&["cutover"]).succeeded();
    ended(at_work).succeeded();
    found().succeeded().printed("nothing to resume");
    named().failed(5, &["has ended"]);
}

#[test]
fn one_that_another_works_on_keeps_no_other_from_being_resumed() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 20));
    let begin = |order| {
        let migrate = ["migrate", order, "--cutover=manual", "--progress=off"];
        let mut child = esm.command(&migrate).spawn().expect("esm starts");
        let migration = waits_for_its_command(&esm, order, &mut child);
        (child, migration)
    };
    let (at_work, migration) = begin("order/00000");
    let (mut killed, other) = begin("order/00001");
    killed.kill().unwrap();
    killed.wait().unwrap();
    esm.run(&["lock", "break", "object order/00001", "--yes"])
        .succeeded();

    let resume = ["resume", "--all", "--lock-timeout=0s", "--progress=off"];
    let resumed = esm.command(&resume).spawn().expect("esm starts");
    esm.run(&["cutover", &other, "--wait=10m"]).succeeded();
    ended(resumed)
        .failed(5, &["lock object order/00000 is held"])
        .printed("migrated 1 object");
    esm.run(&["cutover", &migration]).succeeded();
    ended(at_work).succeeded();
}

#[test]
fn a_migration_back_is_watched_and_steered_like_every_other() {
    let esm = Esm::new();
    esm.import(&order(600));
    let forward = esm.run(&["migrate", "--all", "-o", "json"]).json();
    let forward = forward["migration"].as_str().expect("an id");
    let back = ["rollback", forward, "--cutover=manual", "--progress=off"];
    let child = esm.command(&back).spawn().expect("esm starts");
    let waits = |seen: &Value| seen["progress"]["waiting_for"] == "the command to cut over";
    let seen = watch(&esm, waits);
    assert_eq!(seen["plan"]["reverses"]["migration"], forward, "{seen}");
    esm.run(&["pause"]).succeeded();
    watch(&esm, |seen| seen["progress"]["status"] == "paused");
    esm.run(&["set", "--events-per-second", "unlimited"])
        .succeeded();
    esm.run(&["resume"]).succeeded();
    watch(&esm, waits);
    esm.run(&["cutover"]).succeeded();
    ended(child).succeeded();
    let chain = esm.run(&["show", "order/00000", "-o", "json"]).json();
    let chain = chain["streams"].as_array().expect("streams").len();
    assert_eq!(chain, 3, "original, migrated, restored");
    assert_eq!(esm.export().lines().count(), 600);
}

#[test]
fn it_is_cancelled_without_a_trace_and_its_process_says_so() {
    let (esm, child) = begun(600, &["--events-per-second", "50"]);
    let cancelled = esm.run(&["cancel", "--reason", "wrong program"]);
    cancelled.succeeded();
    let ended = ended(child);
    assert_eq!(ended.code, Some(130), "{}{}", ended.stdout, ended.stderr);
    let status = esm.run(&["status", "--all", "--output", "json"]);
    assert_eq!(status.json()["migrations"][0]["status"], "cancelled");
    assert_eq!(esm.export().lines().count(), 600);
}

#[test]
fn streams_move_to_another_store_and_are_found_there() {
    let esm = Esm::new();
    esm.import(&order(20));
    let other = esm.url("other");
    let moved = esm.run(&["migrate", "--all", "--to", &other]);
    moved.succeeded();
    let lost = esm.run(&["read", "order/00000"]);
    assert_eq!(lost.code, Some(8), "{}", lost.stderr);
    assert!(
        lost.stderr.contains("add the store with that id"),
        "{}",
        lost.stderr
    );
    let read = esm.run(&["export", "--all", "--other-store", &other]);
    read.succeeded();
    assert_eq!(read.stdout.lines().count(), 20);
    // and back again, through an append of an application in the other store
    let home = esm.url("store");
    let back = esm.run(&[
        "migrate",
        "--all",
        "--again",
        "--to",
        &home,
        "--other-store",
        &other,
    ]);
    back.succeeded();
    assert_eq!(
        esm.run(&["export", "--all", "--other-store", &other])
            .stdout,
        read.stdout
    );
}

#[test]
fn what_cannot_be_steered_is_said() {
    let esm = Esm::new();
    esm.import(&order(3));
    let nothing = esm.run(&["pause"]);
    assert_eq!(nothing.code, Some(3), "{}", nothing.stderr);
    let unknown = esm.run(&["cancel", "0192d3a0-7c1e-7aaa-8bbb-0123456789ab"]);
    assert_eq!(unknown.code, Some(3), "{}", unknown.stderr);
    let wrong = esm.run(&["set", "--events-per-second", "0"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    let wait = esm.run(&["migrate", "--all", "--cutover-wait", "5s"]);
    assert_eq!(wait.code, Some(2), "{}", wait.stderr);
    esm.run(&["migrate", "--all"]).succeeded();
    let status = esm.run(&["status", "--all", "--output", "json"]).json();
    let id = status["migrations"][0]["migration"]
        .as_str()
        .expect("an id")
        .to_owned();
    let late = esm.run(&["cancel", &id]);
    assert_eq!(late.code, Some(4), "{}", late.stderr);
    assert!(
        late.stderr.contains("roll the migration back"),
        "{}",
        late.stderr
    );
}

/// On the machine of the process that died, nothing has to be waited for.
#[test]
#[cfg(target_os = "linux")]
fn one_that_was_paused_and_killed_is_known_to_be_dead_and_resumed_at_once() {
    let (esm, mut child) = begun(20, &["--cutover", "manual"]);
    esm.run(&["pause"]).succeeded();
    let listed = esm.run(&["lock", "list", "-o", "json"]).succeeded().json();
    assert_eq!(listed["locks"][0]["holder_state"], "alive");
    child.kill().unwrap();
    child.wait().unwrap();

    let seen = look(&esm).expect("it is not over");
    assert_eq!(seen["lock"]["held"], false);
    assert_eq!(seen["holder_state"], "dead");
    let migration = seen["migration"].as_str().expect("an id");
    let shown = esm.run(&["status", migration]);
    shown.succeeded().printed("its process has ended");
    let line = esm.run(&["watch", "--once"]);
    line.succeeded().printed("no process runs it");
    let list = esm.run(&["lock", "list"]);
    list.succeeded().printed("no held locks");
    let answer = esm.run(&["set", "--concurrency", "2"]);
    assert_eq!(answer.code, Some(8), "{answer:?}");
    answer.printed("no process runs the migration");

    let resume = ["resume", "--wait=10m", "--progress=off"];
    let resumed = esm.command(&resume).spawn().expect("esm starts");
    esm.run(&["cutover", "--wait=10m"]);
    let mut cut_over = esm.run(&["cutover", "--wait=10m"]);
    // until the process that resumes it has begun
    while cut_over.code == Some(8) {
        cut_over = esm.run(&["cutover", "--wait=10m"]);
    }
    ended(resumed).succeeded().printed("migrated 1 object");
}

/// Nobody answered the pause, so it is in force as soon as somebody does.
#[test]
#[cfg(target_os = "linux")]
fn a_resume_supersedes_a_pause_that_no_process_has_answered() {
    let (esm, mut child) = begun(600, &["--events-per-second", "50"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let paused = esm.run(&["pause"]);
    assert_eq!(paused.code, Some(8), "{paused:?}");
    paused.printed("no process runs the migration");
    esm.run(&["set", "--events-per-second=unlimited"]);
    let resumed = esm.run(&["resume"]);
    resumed.succeeded().printed("migrated 1 object");
    assert_eq!(esm.export().lines().count(), 600);
}

#[test]
fn a_damaged_lock_is_listed_and_broken() {
    let esm = Esm::new();
    esm.import(&order(3));
    let lock = esm.path("store/locks/objects/00000000000000000000");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    std::fs::write(&lock, "{").unwrap();
    let listed = esm.run(&["lock", "list"]);
    listed
        .succeeded()
        .printed("locks/objects/00000000000000000000");
    esm.run(&["migrate", "--all"])
        .failed(9, &["locks/objects/00000000000000000000", "break the lock"]);
    esm.run(&["lock", "break", "objects", "--yes"]).succeeded();
    esm.run(&["migrate", "--all"]).succeeded();
}

#[test]
fn a_migration_with_a_damaged_journal_gives_way_to_another() {
    let esm = Esm::new();
    esm.import(&order(3));
    let done = esm
        .run(&["migrate", "--all", "-o", "json"])
        .succeeded()
        .json();
    let migration = done["migration"].as_str().expect("an id").to_owned();
    let record = format!("store/journals/{migration}/00000000000000000002");
    std::fs::remove_file(esm.path(&record)).unwrap();
    esm.run(&["status"]).succeeded().printed("damaged");
    esm.run(&["status", &migration])
        .succeeded()
        .printed("record 2 is missing");
    for refused in [
        &["resume"][..],
        &["resume", &migration],
        &["rollback", &migration],
        &["watch"],
        &["watch", &migration],
        &["pause"],
    ] {
        esm.run(refused)
            .failed(9, &["record 2 is missing", "the streams are not affected"]);
    }
    let again = esm.run(&["migrate", "--all", "--again"]);
    again.succeeded().printed("migrated 1 object");
}
