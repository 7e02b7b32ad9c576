//! The warden: what its charges' owner leaves behind, however that ends, is killed, frozen or not.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_frozen_process_is_killed_when_its_owner_has_gone_and_one_that_was_taken_off_is_not() {
    let waiting = || Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let (mut frozen, mut off) = (waiting(), waiting());
    let pid = |id: u32| Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(pid(frozen.id()), Signal::STOP).unwrap();

    let mut warden = Command::new(env!("CARGO_BIN_EXE_esm-live"))
        .arg("warden")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = warden.stdin.take().unwrap();
    let (frozen_id, off_id) = (frozen.id(), off.id());
    write!(told, "+{frozen_id}\n+{off_id}\n-{off_id}\n").unwrap();
    drop(told);
    assert!(warden.wait().unwrap().success());

    assert_eq!(frozen.wait().unwrap().signal(), Some(9));
    drop(off.stdin.take());
    assert!(off.wait().unwrap().success());
}
