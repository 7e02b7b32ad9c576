//! Ends servers when the process that they were started for has ended.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for the end of a process, however it ends, then runs a command.
const AFTERWARDS: &str = r#"
anchor=$1; shift
while kill -0 "$anchor" 2>/dev/null; do sleep 1; done
exec "$@"
"#;

/// Runs a server beside a process, and ends it when that has ended. Ends when the server does.
const BESIDE: &str = r#"
anchor=$1; shift
"$@" & server=$!
trap 'kill "$server" 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM
while kill -0 "$anchor" 2>/dev/null && kill -0 "$server" 2>/dev/null; do sleep 1; done
"#;

/// Starts small shell scripts that outlive this process and end with the anchor.
#[derive(Debug)]
pub(super) struct Keeper {
    /// The process that the servers end with.
    pub(super) anchor: u32,
}

impl Keeper {
    /// Starts a server that ends with the anchor, and writes to this log.
    pub(super) fn keep(&self, server: &Command, log: &Path) -> Result<Child, String> {
        let mut script = self.script(BESIDE);
        script.arg(server.get_program()).args(server.get_args());
        let log = std::fs::File::create(log).map_err(|error| error.to_string())?;
        let copy = log.try_clone().map_err(|error| error.to_string())?;
        script.stdout(log).stderr(copy);
        spawn(&mut script)
    }

    /// Removes a container of this name, if there is one, when the anchor has ended.
    pub(super) fn remove_container_in_the_end(&self, name: &str) -> Result<(), String> {
        self.afterwards(["docker", "rm", "--force", "--volumes", name].map(OsStr::new))
    }

    /// Removes a directory when the anchor has ended.
    pub(super) fn remove_in_the_end(&self, directory: &Path) -> Result<(), String> {
        self.afterwards([OsStr::new("rm"), OsStr::new("-rf"), directory.as_os_str()])
    }

    fn afterwards<'a>(&self, command: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
        spawn(self.script(AFTERWARDS).args(command)).map(drop)
    }

    /// Runs the script in its own process group, so that a signal to the tests does not end it, and
    /// without file handles that others wait for.
    fn script(&self, script: &str) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "esm-testkit", &self.anchor.to_string()]);
        shell.process_group(0).current_dir(std::env::temp_dir());
        shell.stdin(Stdio::null());
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        shell
    }
}

fn spawn(script: &mut Command) -> Result<Child, String> {
    let child = script.spawn();
    child.map_err(|error| format!("a POSIX shell is needed: {error}"))
}
