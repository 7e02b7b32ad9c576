//! A server of a test's own, which it may kill.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use esm_postgres::{Database, Settings};

const NOBODY: u32 = 65_534;
/// Where distributions install the programs of versions.
const PROGRAMS: &str = "/usr/lib/postgresql";

/// A PostgreSQL of this machine's programs, in a folder of its own. Ends when dropped.
pub(crate) struct LocalServer {
    folder: tempfile::TempDir,
    programs: PathBuf,
    pub(crate) port: u16,
    running: Option<Child>,
}

impl LocalServer {
    /// Nothing where PostgreSQL is not installed.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let versions = std::fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
        let programs = versions.map(|version| version.path().join("bin"));
        let Some(programs) = programs.filter(|bin| bin.join("initdb").exists()).max() else {
            esm_testkit::not_tested(test, "the programs of PostgreSQL are not installed here");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Self {
            port: free_port(),
            folder,
            programs,
            running: None,
        };
        if is_root() {
            std::os::unix::fs::chown(server.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut initdb = server.program("initdb");
        let made = initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--locale=C",
            "-E",
            "UTF8",
        ]);
        let made = made.arg("-D").arg(server.data()).status();
        assert!(made.unwrap().success());
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program, without rights that the server refuses to run with.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(log(self.folder.path()));
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts it, and waits until it accepts connections.
    pub(crate) async fn start(&mut self) {
        loop {
            let mut server = self.program("postgres");
            let options = [
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "jit=off",
            ];
            let mut child = server
                .arg("-D")
                .arg(self.data())
                .args(["-p", &self.port.to_string()])
                .args(options)
                .spawn()
                .unwrap();
            loop {
                if Database::connect(self.settings()).await.is_ok() {
                    self.running = Some(child);
                    return;
                }
                // processes of a server that was killed may still hold its memory: again
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Kills it, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    pub(crate) fn address(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres?schema=esm",
            self.port
        )
    }

    fn settings(&self) -> Settings {
        Settings::new(&self.address(), |_| None).unwrap()
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody listens on, and that no connection begins at: one that is tried before its
/// server listens could connect to itself.
pub(crate) fn free_port() -> u16 {
    let first = 20_000 + (std::process::id() % 6_000) as u16 * 2;
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_000).find(is_free).unwrap()
}

fn log(folder: &Path) -> Stdio {
    let options = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"));
    options.unwrap().into()
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().metadata().unwrap().uid() == 0
}
