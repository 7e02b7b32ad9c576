//! Numbers, times and paths at the end of what can be written: done or refused, never a panic.

use crate::esm::{Esm, Ran};
use crate::orders;

const LARGEST: &str = "18446744073709551615";
const LONGEST: &str = "7304484d";
const LAST: &str = "9999-12-30T22:00:00.999999999Z";
const AFTER_THE_FIRST: &str = "--cutover-after=-009999-01-02T01:59:59Z";

#[track_caller]
fn ends(ran: &Ran) {
    assert!(ran.code.is_some_and(|code| code != 101), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
}

#[test]
fn a_migration_accepts_or_refuses_every_number_and_time() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    for option in [
        &["--batch", LARGEST] as &[&str],
        &["--batch", "0"],
        &["--concurrency", LARGEST],
        &["--cell-events", LARGEST],
        &["--events-per-second", LARGEST],
        &["--bytes-per-second", LARGEST],
        &["--requests-in-flight", LARGEST],
        &["--target-latency-ms", LARGEST],
        &["--cutover-attempts", LARGEST],
        &["--give-up-after", LONGEST],
        &["--give-up-after", "0s"],
        &[AFTER_THE_FIRST],
        &[AFTER_THE_FIRST, "--cutover-before", LAST],
        &["--reversible-for", LONGEST],
        &["--lock-timeout", LONGEST],
        &["--lock-lease", LONGEST, "--lock-heartbeat", LONGEST],
        &["--lock-lease", LONGEST],
        &["--lock-lease", "0s", "--lock-heartbeat", "0s"],
        &["--max-event-size", "17179869183GiB"],
    ] {
        let arguments = [&["migrate", "--all", "--again"], option].concat();
        let ran = esm.run(&arguments);
        ends(&ran);
        if ran.code != Some(0) {
            assert_eq!(ran.code, Some(2), "{option:?}: {ran:?}");
            assert!(!ran.stderr.contains("continue:"), "{option:?}: {ran:?}");
        }
    }
    assert_eq!(esm.export(), orders::sorted(2, 3));
}

#[test]
fn other_commands_accept_or_refuse_every_number_and_time() {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let backup = |keep: &str, level: &str| {
        let id = format!("b{keep}{level}");
        esm.run(&[
            "backup", "create", "--all", "--id", &id, "--keep", keep, "--level", level,
        ])
    };
    for (keep, level) in [(LONGEST, "3"), ("0s", "3"), ("1d", "19"), ("1d", LARGEST)] {
        ends(&backup(keep, level));
    }
    for arguments in [
        &["read", "order/00000", "--from", LARGEST] as &[&str],
        &["read", "order/00000", "--limit", LARGEST, "--from", "1"],
        &["list", "--limit", LARGEST],
        &["plan", "--all", "--sample", LARGEST],
        &[
            "migrate",
            "--all",
            "--backup-keep",
            LONGEST,
            "--backup",
            &esm.url("other"),
        ],
        &["watch", "--every", LONGEST, "--once"],
        &["pause", "--wait", LONGEST],
        &["set", "--cell-bytes", LARGEST],
        &["backup", "prune", "--dry-run"],
        &["backup", "list"],
        &["import", "--max-event-size", LARGEST],
        &["status", "--all"],
    ] {
        ends(&esm.run(arguments));
    }
    assert_eq!(esm.export(), orders::sorted(2, 3));
}

#[test]
fn a_path_may_hold_what_a_url_gives_a_meaning() {
    let esm = Esm::new();
    let file = esm.file("orders", orders::sorted(1, 2));
    for name in ["a:b", "q?x", "h#x", "p%41", "sp ace", "é"] {
        let path = esm.path(name);
        let path = path.to_str().expect("a readable path");
        esm.run(&["--store", path, "import", &file]).succeeded();
        let exported = esm.run(&["--store", path, "export", "--all"]);
        assert_eq!(exported.succeeded().stdout, orders::sorted(1, 2), "{name}");
        assert!(esm.path(name).join("esm.json").exists(), "{name}");
    }
    for url in ["file-q?x", "file-h#x"] {
        esm.run(&["--store", &esm.url(url), "import", &file])
            .failed(2, &["query or a fragment", "%3F"]);
        assert!(!esm.path(&url[..6]).exists());
    }
    esm.run(&["--store", "ab:c", "list"])
        .failed(2, &["unknown scheme: ab", "./ab:"]);
}
