//! Standard output and standard error that are full, or whose reader is gone.

#![cfg(target_os = "linux")]

use std::fs::{File, OpenOptions};
use std::process::Stdio;

use crate::esm::{Esm, Ran};
use crate::orders;

/// A device on which every write fails for lack of space.
fn full() -> File {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("the device")
}

/// A pipe whose reader is gone.
fn without_reader() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

struct Outputs {
    stdout: Stdio,
    stderr: Stdio,
}

impl Outputs {
    fn full_stdout() -> Self {
        Self {
            stdout: full().into(),
            stderr: Stdio::piped(),
        }
    }

    fn without_reader() -> Self {
        Self {
            stdout: without_reader(),
            stderr: Stdio::piped(),
        }
    }

    fn full() -> Self {
        Self {
            stdout: full().into(),
            stderr: full().into(),
        }
    }
}

fn run(esm: &Esm, outputs: Outputs, arguments: &[&str]) -> Ran {
    let mut command = esm.command(arguments);
    command.stdout(outputs.stdout).stderr(outputs.stderr);
    Ran::new(command.output().expect("esm runs"))
}

#[test]
fn a_result_that_is_lost_ends_with_8_and_its_work_is_done() {
    let esm = Esm::new();
    let file = esm.file("orders", orders::sorted(2, 3));
    let lost = ["writing to standard output", "hint: "];
    for arguments in [
        &["import", &file] as &[&str],
        &["list"],
        &["list", "--names-only"],
        &["show", "order/00000"],
        &["read", "order/00000"],
        &["store", "show", "-o", "json"],
        &["plan", "--all"],
        &["migrate", "--all"],
        &["verify", "--all"],
        &["status", "--all"],
        &["backup", "create", "--all", "--id", "first"],
        &["completions", "bash"],
    ] {
        run(&esm, Outputs::full_stdout(), arguments).failed(8, &lost[..1]);
    }
    run(&esm, Outputs::full_stdout(), &["export", "--all"]).failed(8, &["standard output"]);
    run(
        &esm,
        Outputs::full_stdout(),
        &["read", "order/00000", "-o", "json"],
    )
    .failed(8, &["standard output"]);
    run(&esm, Outputs::full_stdout(), &["--help"]).failed(8, &lost[..1]);
    esm.run(&["verify", "--all"])
        .succeeded()
        .printed("equal: 6 events of 2 objects");
    esm.run(&["backup", "verify", "first"]).succeeded();
}

#[test]
fn the_code_of_failed_work_wins_over_a_lost_result() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let fails = esm.file("fails.jq", "error(\"no\")");
    for outputs in [Outputs::full_stdout, Outputs::without_reader] {
        run(&esm, outputs(), &["plan", "--all", "--transform", &fails]).failed(7, &[]);
        run(
            &esm,
            outputs(),
            &["migrate", "order/00000", "--transform", &fails],
        )
        .failed(7, &["cannot be transformed", "was not printed"]);
        run(&esm, outputs(), &["rollback", migration(&esm).as_str()]);
    }
    let wrong = esm.file("wrong", "{");
    run(&esm, Outputs::full_stdout(), &["import", &wrong]).failed(2, &["line 1"]);
}

/// The only migration that has not ended.
fn migration(esm: &Esm) -> String {
    let status = esm.run(&["status", "-o", "json"]).succeeded().json();
    let id = status["migrations"][0]["migration"].as_str();
    id.expect("a migration").to_owned()
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    for arguments in [
        &["list"] as &[&str],
        &["export", "--all"],
        &["read", "order/00000"],
        &["plan", "--all"],
        &["migrate", "--all"],
        &["status", "--all", "-o", "json"],
        &["completions", "zsh"],
        &["--help"],
    ] {
        let ran = run(&esm, Outputs::without_reader(), arguments);
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    esm.run(&["verify", "--all"])
        .succeeded()
        .printed("equal: 6 events of 2 objects");
}

#[test]
fn logs_notes_and_progress_that_cannot_be_written_end_nothing() {
    let esm = Esm::new();
    let file = esm.file("orders", orders::sorted(2, 300));
    let quiet = |stderr: Stdio| Outputs {
        stdout: Stdio::piped(),
        stderr,
    };
    let noisy = ["--log", "trace", "--progress"];
    for (stderr, progress) in [
        (full().into(), "bar"),
        (without_reader(), "bar"),
        (full().into(), "lines"),
        (without_reader(), "lines"),
    ] {
        let migrate = [&["migrate", "--all", "--again"], &noisy[..], &[progress]].concat();
        let import = [&["import", file.as_str()], &noisy[..], &[progress]].concat();
        run(&esm, quiet(full().into()), &import).succeeded();
        run(&esm, quiet(stderr), &migrate)
            .succeeded()
            .printed("migrated 2 objects");
    }
    run(&esm, quiet(full().into()), &["show", "order/9"]).failed(3, &[]);
    run(&esm, quiet(without_reader()), &["no-command"]).failed(2, &[]);
    run(&esm, Outputs::full(), &["list", "--log", "trace"]).failed(8, &[]);
}
