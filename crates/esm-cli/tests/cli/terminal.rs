//! What a terminal shows, at two widths. `cargo insta review` shows changed pictures.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::esm::Esm;
use crate::migrate::PROGRAM;
use crate::orders;
use crate::steering::{begun, ended, watch};

/// The result of a run on a terminal.
pub(crate) struct Shown {
    pub(crate) code: Option<i32>,
    pub(crate) screen: String,
}

/// Runs on a terminal of this width, on which somebody types `typed`.
pub(crate) fn shown(esm: &Esm, columns: u16, arguments: &[&str], typed: &str) -> Shown {
    let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&control).expect("a terminal that may be used");
    unlockpt(&control).expect("a terminal that can be opened");
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&control, size).expect("a size");
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    let terminal = File::from(ioctl_tiocgptpeer(&control, flags).expect("the other end"));
    let end = || Stdio::from(terminal.try_clone().expect("the other end"));
    let mut command = esm.command(arguments);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    command.stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().expect("esm runs");
    drop((command, terminal));
    let mut control = File::from(control);
    control.write_all(typed.as_bytes()).expect("typed");
    let mut screen = Vec::new();
    // an error is the end: nobody has the other end open any more
    let _ = control.read_to_end(&mut screen);
    let code = child.wait().expect("esm ends").code();
    let screen = String::from_utf8(screen).expect("text");
    Shown {
        code,
        screen: screen.replace("\r\n", "\n"),
    }
}

/// A picture of a screen, in which the styles can be read.
fn picture(shown: &Shown) -> String {
    shown.screen.replace('\u{1b}', "␛")
}

fn with_orders() -> (Esm, String) {
    let esm = Esm::new();
    esm.import(&orders::sorted(1, 3));
    let program = esm.file("v2.jq", PROGRAM);
    (esm, program)
}

#[test]
fn a_plan_with_samples() {
    let (esm, program) = with_orders();
    for columns in [80, 200] {
        let plan = ["plan", "--all", "--transform", &program, "--show", "9"];
        let shown = shown(&esm, columns, &plan, "");
        assert_eq!(shown.code, Some(0));
        insta::assert_snapshot!(format!("plan_{columns}"), picture(&shown));
    }
}

#[test]
fn colors_are_for_terminals_that_want_them() {
    let (esm, program) = with_orders();
    let plan = ["plan", "--all", "--transform", &program, "--show", "9"];
    assert!(shown(&esm, 80, &plan, "").screen.contains('\u{1b}'));
    let ran = esm.run(&plan);
    ran.succeeded().printed("v2.jq: order/00000 revision 2");
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_plan_with_events_that_fail() {
    let (esm, _) = with_orders();
    let program = r#"if .type == "NoteTaken" then .data.number.x = 1 else error("no") end"#;
    let program = esm.file("fails.jq", program);
    for columns in [80, 200] {
        let shown = shown(
            &esm,
            columns,
            &["plan", "--all", "--transform", &program],
            "",
        );
        assert_eq!(shown.code, Some(7));
        insta::assert_snapshot!(format!("failing_{columns}"), picture(&shown));
    }
}

/// A picture without what differs from run to run: the id, times, durations and the holder.
fn steady(shown: &Shown, migration: &str) -> String {
    let short = &migration[migration.len() - 8..];
    let picture = picture(shown).replace(short, "89abcdef");
    let mut lines = Vec::new();
    let mut below_the_lock = false;
    for line in picture.lines() {
        // how it is broken depends on the length of the holder
        below_the_lock &= line.starts_with(' ');
        if below_the_lock {
            continue;
        }
        below_the_lock = line.starts_with("lock  ");
        let line = match line.split("  ").next() {
            Some("holder") => "holder              [holder]",
            Some("lock") => "lock                [lock]",
            _ => line,
        };
        let words = line.split(' ').map(steady_word);
        lines.push(words.collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

/// A time keeps its form, and so does the number of a duration.
fn steady_word(word: &str) -> String {
    let end = word.trim_end_matches([':', ';', ',']).len();
    let (number, rest) = word.split_at(end);
    let is_duration =
        number.parse::<f64>().is_ok() && number.contains('.') && !number.ends_with('.');
    let is_time = number.parse::<jiff::Timestamp>().is_ok();
    if is_time {
        "2026-01-02T03:04:05Z".to_owned() + rest
    } else if is_duration {
        "0.0".to_owned() + rest
    } else {
        word.to_owned()
    }
}

/// The newest migration of a store.
fn newest(esm: &Esm) -> String {
    let status = esm.run(&["status", "--all", "-o", "json"]).json();
    let newest = status["migrations"].as_array().and_then(|all| all.last());
    let newest = newest.and_then(|newest| newest["migration"].as_str());
    newest.expect("a migration").to_owned()
}

#[test]
fn a_migration_and_its_status() {
    for columns in [80, 200] {
        let (esm, program) = with_orders();
        let migrate = ["migrate", "--all", "--transform", &program, "--yes"];
        let migrate = [&migrate[..], &["--progress", "off"]].concat();
        let migrated = shown(&esm, columns, &migrate, "");
        assert_eq!(migrated.code, Some(0));
        let migration = newest(&esm);
        for (name, arguments) in [
            ("migrate", None),
            ("status", Some(&["status", "--all"][..])),
            ("status_of_one", Some(&["status", &migration])),
            ("watch", Some(&["watch", &migration])),
        ] {
            let shown = arguments.map(|arguments| shown(&esm, columns, arguments, ""));
            let picture = steady(shown.as_ref().unwrap_or(&migrated), &migration);
            insta::assert_snapshot!(format!("{name}_{columns}"), picture);
        }
    }
}

#[test]
fn a_migration_that_fails_and_its_status() {
    let program = r#"if .subject == "00001" then error("no customer") else . end"#;
    for columns in [80, 200] {
        let esm = Esm::new();
        esm.import(&orders::sorted(2, 3));
        let program = esm.file("fails.jq", program);
        let migrate = ["migrate", "--all", "--transform", &program, "--yes"];
        let options = ["--progress", "off", "--keep-going", "--log", "off"];
        let failed = shown(&esm, columns, &[&migrate[..], &options].concat(), "");
        assert_eq!(failed.code, Some(7));
        let migration = newest(&esm);
        for (name, arguments) in [
            ("migrate_failing", None),
            ("status_failing", Some(&["status"][..])),
            ("status_of_one_failing", Some(&["status", &migration])),
            ("watch_failing", Some(&["watch", "--once"])),
        ] {
            let shown = arguments.map(|arguments| shown(&esm, columns, arguments, ""));
            let picture = steady(shown.as_ref().unwrap_or(&failed), &migration);
            insta::assert_snapshot!(format!("{name}_{columns}"), picture);
        }
    }
}

#[test]
fn a_migration_that_waits_for_its_cutover_and_what_is_seen_of_it() {
    let (esm, child) = begun(20, &["--cutover", "manual"]);
    watch(&esm, |seen| {
        seen["progress"]["waiting_for"] == "the command to cut over"
    });
    let migration = newest(&esm);
    for columns in [80, 200] {
        for (name, arguments) in [
            ("watch_ready", &["watch", "--once"][..]),
            ("status_ready", &["status"]),
            ("status_of_one_ready", &["status", &migration]),
        ] {
            let picture = steady(&shown(&esm, columns, arguments, ""), &migration);
            insta::assert_snapshot!(format!("{name}_{columns}"), picture);
        }
    }
    esm.run(&["cutover"]).succeeded();
    ended(child).succeeded();
}

#[test]
fn tables_fit_the_terminal_whatever_the_names_and_are_whole_elsewhere() {
    let esm = Esm::new();
    let key = "a-key-that-is-as-long-as-a-team-likes-it-00000000-0000-4000-8000-000000000001";
    esm.import(&orders::sorted(1, 3).replace("00000", key));
    let object = format!("order/{key}");
    let long_type = "com.example.shop.orders.v2.OrderPlacedByTheCustomerOnTheWebsite";
    let program = format!(r#"if .type == "OrderPlaced" then .type = "{long_type}" else . end"#);
    let program = esm.file("renames.jq", program);
    let backups = esm.url("backups");
    let migrate = ["migrate", "--all", "--yes", "--transform", &program];
    let options = ["--backup", &backups, "--progress", "off"];
    for arguments in [
        &["list"][..],
        &["plan", "--all", "--transform", &program, "--show", "3"],
        &[&migrate[..], &options].concat(),
        &["status", "--all"],
        &["show", &object],
        &["backup", "list", "--backup", &backups],
        &["read", &object],
    ] {
        for columns in [80, 200] {
            let shown = shown(&esm, columns, arguments, "");
            assert_eq!(shown.code, Some(0), "{}", shown.screen);
            let lines = shown.screen.lines().map(without_styles);
            let wide = lines.filter(|line| line.chars().count() > columns.into());
            // what is whole by itself is not cut: an object, a stream
            let cut: Vec<_> = wide.filter(|line| line.trim().contains(' ')).collect();
            let facts = cut
                .iter()
                .all(|line| line.contains(key) && line.split_whitespace().count() == 2);
            assert!(facts, "{arguments:?} at {columns}: {cut:#?}");
        }
    }
    esm.run(&["list"]).succeeded().printed(&object);
    let row = esm.run(&["list", "-o", "json"]).json();
    assert_eq!(row["object"], object);
}

fn without_styles(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| {
        line + part.split_once('m').map_or(part, |(_, rest)| rest)
    })
}

#[test]
fn a_terminal_is_asked_before_many_objects_and_without_a_backup_or_a_transformation() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let program = esm.file("v2.jq", PROGRAM);
    let before = esm.files();
    let backup = esm.url("backups");
    for (arguments, question) in [
        (
            &[
                "migrate",
                "--all",
                "--transform",
                &program,
                "--backup",
                &backup,
            ][..],
            "migrate 2 objects? [y/N]",
        ),
        (
            &["migrate", "order/00001", "--transform", &program],
            "migrate without a backup? [y/N]",
        ),
        (
            &["migrate", "--name", "order"],
            "migrate 2 objects, without a transformation, without a backup? [y/N]",
        ),
    ] {
        let shown = shown(&esm, 80, arguments, "n\n");
        assert!(shown.screen.contains(question), "{}", shown.screen);
        assert!(shown.screen.contains("to write"), "{}", shown.screen);
        assert!(
            shown.screen.ends_with("nothing was changed\n"),
            "{}",
            shown.screen
        );
        assert_eq!(shown.code, Some(0));
    }
    assert_eq!(esm.files(), before);
    let migrate = ["migrate", "--all", "--transform", &program];
    let agreed = shown(&esm, 80, &migrate, "y\n");
    assert!(
        agreed.screen.contains("migrated 2 objects"),
        "{}",
        agreed.screen
    );
    let again = shown(&esm, 80, &migrate, "");
    assert!(again.screen.contains("nothing to do"), "{}", again.screen);
}

#[test]
fn what_is_confirmed_beforehand_and_what_is_not_on_a_terminal_is_not_asked() {
    let (esm, program) = with_orders();
    let migrate = ["migrate", "--all", "--transform", &program, "--yes"];
    let shown_once = shown(&esm, 80, &migrate, "");
    assert!(
        !shown_once.screen.contains("[y/N]"),
        "{}",
        shown_once.screen
    );
    assert_eq!(shown_once.code, Some(0));
    let status = esm.run(&["status", "--all", "-o", "json"]).json();
    let migration = status["migrations"][0]["migration"]
        .as_str()
        .expect("an id")
        .to_owned();
    let down = esm.file("v1.jq", "empty");
    let rollback = ["rollback", &migration, "--down", &down];
    let asked = shown(&esm, 80, &rollback, "n\n");
    assert!(
        asked.screen.contains("roll back? [y/N]"),
        "{}",
        asked.screen
    );
    assert!(
        asked.screen.ends_with("nothing was changed\n"),
        "{}",
        asked.screen
    );
    let yes = [&rollback[..], &["--yes"]].concat();
    let rolled_back = shown(&esm, 80, &yes, "");
    assert!(
        rolled_back.screen.contains("rolled back 1 object"),
        "{}",
        rolled_back.screen
    );
    // of what is rolled back already nothing is left to do
    let again = shown(&esm, 80, &rollback, "");
    assert!(!again.screen.contains("[y/N]"), "{}", again.screen);
    assert_eq!(again.code, Some(0), "{}", again.screen);
    // without a terminal
    esm.run(&["migrate", "--all", "--transform", &program])
        .succeeded()
        .printed("migrated 1 object");
}
