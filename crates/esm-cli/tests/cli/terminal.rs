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
