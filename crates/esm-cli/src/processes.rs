//! The processes of this machine: shows whether the holder of a lock has certainly ended.

#[cfg(target_os = "linux")]
use std::path::Path;

use esm_core::store::{HolderProcess, Processes};

/// The processes that the operating system shows. Only Linux shows enough; elsewhere nothing is
/// known of any process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalProcesses;

impl Processes for LocalProcesses {
    fn current(&self) -> Option<HolderProcess> {
        current()
    }

    fn has_ended(&self, process: &HolderProcess) -> bool {
        let Some(this) = current() else { return false };
        let comparable = this.boot == process.boot && this.namespace == process.namespace;
        comparable && has_ended(process)
    }
}

#[cfg(not(target_os = "linux"))]
fn current() -> Option<HolderProcess> {
    None
}

#[cfg(not(target_os = "linux"))]
fn has_ended(_: &HolderProcess) -> bool {
    false
}

/// The facts of this process; none of them where `/proc` is that of other namespaces, or hides
/// processes.
#[cfg(target_os = "linux")]
fn current() -> Option<HolderProcess> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let namespace = |kind: &str| {
        let link = std::fs::read_link(Path::new("/proc/self/ns").join(kind)).ok()?;
        Some(link.to_string_lossy().into_owned())
    };
    let stat = Stat::parse(&read("/proc/self/stat")?)?;
    let pid = std::process::id();
    let mounts = read("/proc/self/mountinfo")?;
    if stat.pid != pid || mounts.contains("hidepid=") || mounts.contains("subset=pid") {
        return None;
    }
    // start times depend on the time namespace, which older kernels do not have
    let namespaces = [Some(namespace("pid")?), namespace("time")];
    Some(HolderProcess {
        boot: read("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
        namespace: namespaces
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        pid,
        started: stat.started,
    })
}

/// "No such process": reading a file of `/proc` whose process has ended meanwhile.
#[cfg(target_os = "linux")]
const ESRCH: i32 = 3;

#[cfg(target_os = "linux")]
fn has_ended(process: &HolderProcess) -> bool {
    match std::fs::read_to_string(format!("/proc/{}/stat", process.pid)) {
        Ok(text) => Stat::parse(&text).is_some_and(|stat| !stat.is_running(process.started)),
        // a process of this id ended before its state was read; whichever it was, the holder is gone
        Err(error) if error.raw_os_error() == Some(ESRCH) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// What `/proc/PID/stat` says of a process.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    state: String,
    threads: u64,
    started: u64,
}

#[cfg(target_os = "linux")]
impl Stat {
    /// The name of the program is in parentheses and may contain any character, also parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (pid, rest) = text.split_once(' ')?;
        let (_, after_name) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        Some(Self {
            pid: pid.parse().ok()?,
            state: (*fields.first()?).to_owned(),
            threads: fields.get(17)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether the process that started then is running. One that ended stays listed until its
    /// parent has read its exit code.
    fn is_running(&self, started: u64) -> bool {
        let ended = matches!(self.state.as_str(), "Z" | "X") && self.threads <= 1;
        self.started == started && !ended
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_is_skipped() {
        let fields = "1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 5077 1 1";
        let text = format!("42 (a b) S (c)) Z {fields}");
        let stat = Stat::parse(&text).expect("all fields");
        assert_eq!((stat.pid, stat.threads, stat.started), (42, 3, 5077));
        assert_eq!(stat.state, "Z");
        assert!(stat.is_running(5077), "other threads still run");
        assert!(!stat.is_running(5078), "a later process has its id");
        let ended = Stat { threads: 1, ..stat };
        assert!(!ended.is_running(5077));
        assert_eq!(Stat::parse("42 (a) S 1"), None);
    }

    #[test]
    fn this_process_runs_and_one_that_was_waited_for_has_ended() {
        let this = LocalProcesses.current().expect("/proc shows this process");
        assert!(!LocalProcesses.has_ended(&this));
        let mut child = std::process::Command::new("sleep")
            .arg("100")
            .spawn()
            .expect("sleep starts");
        let text = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it runs");
        let other = HolderProcess {
            pid: child.id(),
            started: Stat::parse(&text).expect("all fields").started,
            ..this.clone()
        };
        assert!(!LocalProcesses.has_ended(&other));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        assert!(LocalProcesses.has_ended(&other));
        for elsewhere in [
            HolderProcess {
                boot: "another".to_owned(),
                ..other.clone()
            },
            HolderProcess {
                namespace: "another".to_owned(),
                ..other
            },
        ] {
            assert!(!LocalProcesses.has_ended(&elsewhere), "{elsewhere:?}");
        }
    }
}
