//! Scarce resources: few descriptors, little memory, a limit of file sizes, a full disk, a closed
//! output. A command fails with the code of what is scarce, nothing is half done, and with enough
//! of it the same command succeeds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::context::Context;
use crate::model::{Event, PROGRAM};
use crate::program::{Ended, run as run_to_end};
use crate::report::{Finding, Tally};

const LIMIT: Duration = Duration::from_secs(60);

/// A limit, as a shell sets it, and codes with which a command may end under it.
const LIMITS: [(&str, &[i32]); 9] = [
    ("ulimit -n 8", &[0, 1, 8]),
    ("ulimit -n 16", &[0, 1, 8]),
    ("ulimit -n 32", &[0, 1, 8]),
    ("ulimit -f 0", &[0, 8]),
    ("ulimit -f 1", &[0, 8]),
    ("trap '' XFSZ; ulimit -f 1", &[0, 8]),
    ("ulimit -v 300000", &[0, 1, 8]),
    ("exec >&-", &[0, 8]),
    ("exec >/dev/full", &[0, 8]),
];

pub(crate) fn run(context: &Context) -> Result<Tally> {
    let directory = context.directory("resources")?;
    let mut tally = Tally::of("resources");
    let input = directory.join("in.ndjson");
    std::fs::write(&input, events(200))?;
    let program = directory.join("program.jq");
    std::fs::write(&program, PROGRAM)?;
    let commands = [
        format!("import {}", input.display()),
        format!("migrate --all --transform {}", program.display()),
        "backup create --all --id b".to_owned(),
        "export --all".to_owned(),
    ];
    for (limit, codes) in LIMITS {
        if context.is_over() {
            break;
        }
        let store = directory.join("store");
        if store.exists() {
            std::fs::remove_dir_all(&store)?;
        }
        tally.rounds += 1;
        for line in &commands {
            under(context, &mut tally, &store, limit, codes, line)?;
        }
    }
    full_disk(context, &mut tally, &directory, &commands)?;
    Ok(tally)
}

/// Runs a command under a limit, and then again without it.
fn under(
    context: &Context,
    tally: &mut Tally,
    store: &Path,
    limit: &str,
    codes: &[i32],
    line: &str,
) -> Result<()> {
    let mut found = |happened: String, right: &str| {
        tally.findings.push(Finding {
            kind: format!("{limit}: {}", line.split(' ').next().unwrap_or_default()),
            happened,
            right: right.to_owned(),
            again: context.again("resources"),
        });
    };
    let mut words = vec!["--output", "json"];
    words.extend(line.split(' '));
    let esm = context.esm.on(store, &words);
    let mut command = Command::new("bash");
    command
        .arg("-c")
        .arg(format!("{limit}; exec \"$@\""))
        .arg("limited");
    command.arg(esm.get_program()).args(esm.get_args());
    command.env("ESM_PROGRESS", "off");
    let outcome = run_to_end(&mut command, LIMIT)?;
    // memory that cannot be had aborts a process, and the system kills one that exceeds a limit of
    // file sizes: that is a kill like others
    let is_killed = matches!(
        outcome.ended,
        Ended::Code(126 | 127 | 134) | Ended::Signal(6 | 25)
    );
    let ended_well = matches!(outcome.ended, Ended::Code(code) if codes.contains(&code));
    if !ended_well && !is_killed {
        found(
            format!("{line}: {outcome}"),
            "an exit code of docs/cli.md that names what is scarce",
        );
    }
    let lost = !outcome.succeeded() || limit.starts_with("exec");
    let wrong = limit == "exec >/dev/full" && outcome.succeeded() && line.starts_with("export");
    if wrong {
        found(
            format!("{line}: exit 0"),
            "results that cannot be written are exit 8",
        );
    }
    if lost && line != "export --all" {
        let again = context.esm.ask(store, line, LIMIT)?;
        let is_done = again.succeeded() || again.kind() == "already_exists";
        if !is_done {
            let resumed = context
                .esm
                .ask(store, "resume --all --lock-timeout 70s", LIMIT)?;
            if !resumed.succeeded() {
                let happened =
                    format!("{line}, again without the limit: {again}; resume: {resumed}");
                found(happened, "with enough of it the command succeeds");
            }
        }
    }
    Ok(())
}

/// A small tmpfs that is full, where mounting is permitted.
fn full_disk(
    context: &Context,
    tally: &mut Tally,
    directory: &Path,
    commands: &[String],
) -> Result<()> {
    let disk = directory.join("disk");
    std::fs::create_dir_all(&disk)?;
    let mount = |size: &str| {
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(&disk);
        run_to_end(&mut command, LIMIT)
    };
    for size in [
        "size=8k",
        "size=64k",
        "size=128k",
        "nr_inodes=12",
        "nr_inodes=40",
    ] {
        if !mount(size).is_ok_and(|outcome| outcome.succeeded()) {
            let reason = "full disks: this user cannot mount a tmpfs".to_owned();
            tally.left_out.push(reason);
            return Ok(());
        }
        tally.rounds += 1;
        let tried = on_full_disk(context, tally, &disk, size, commands);
        run_to_end(Command::new("umount").arg(&disk), LIMIT)?;
        tried?;
    }
    Ok(())
}

fn on_full_disk(
    context: &Context,
    tally: &mut Tally,
    disk: &Path,
    size: &str,
    commands: &[String],
) -> Result<()> {
    let store = disk.join("store");
    for line in commands {
        let outcome = context.esm.ask(&store, line, LIMIT)?;
        let is_full = outcome.kind() == "storage_full";
        // where nothing was imported there is nothing to work on
        let nothing = outcome.kind() == "not_found";
        if outcome.succeeded() || is_full || nothing {
            continue;
        }
        tally.findings.push(Finding {
            kind: format!("full disk: {}", line.split(' ').next().unwrap_or_default()),
            happened: format!("{size}: {line}: {outcome}"),
            right: "storage_full, exit 8".to_owned(),
            again: context.again("resources"),
        });
    }
    Ok(())
}

fn events(count: usize) -> String {
    let line = |number: usize| {
        let (object, sequence) = (format!("o/{}", number % 10), number / 10);
        let id = format!("{number}");
        Event::new(&id, ["D", "A", "B", "C"][sequence % 4], 1).line(&object, sequence)
    };
    (0..count).map(line).collect()
}
