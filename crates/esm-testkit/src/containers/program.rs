//! Servers that are programs of this machine.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::keeper::Keeper;
use super::server::{Server, ready};

/// A package that is installed once, at a fixed version.
#[derive(Debug)]
pub(super) struct Package {
    /// Its name and version: a new version is installed beside an old one.
    pub(super) name: &'static str,
    /// Installs it in a directory.
    pub(super) install: fn(&Path) -> Vec<Command>,
}

impl Package {
    /// The directory that it is installed in.
    ///
    /// # Errors
    /// Why it cannot be installed.
    pub(super) fn installed(&self) -> Result<PathBuf, String> {
        let directory = servers().join(self.name);
        // written last: distinguishes a finished installation from a broken one
        let marker = directory.join("installed");
        if marker.exists() {
            return Ok(directory);
        }
        let lock = || {
            fs::create_dir_all(&directory)?;
            let lock = File::create(servers().join(format!("{}.lock", self.name)))?;
            lock.lock()?;
            std::io::Result::Ok(lock)
        };
        let _locked = lock().map_err(|error| format!("{}: {error}", directory.display()))?;
        if marker.exists() {
            return Ok(directory);
        }
        for mut command in (self.install)(&directory) {
            succeeds(&mut command).map_err(|why| format!("cannot install {}: {why}", self.name))?;
        }
        fs::write(&marker, "").map_err(|error| error.to_string())?;
        Ok(directory)
    }
}

/// Returns the directory of installed servers, in the target directory of the cargo that built this
/// program.
fn servers() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let is_of_a_profile = |directory: &&Path| directory.join(".fingerprint").exists();
    let profile = program.ancestors().find(is_of_a_profile);
    let target = profile.and_then(Path::parent);
    target
        .map_or_else(std::env::temp_dir, Path::to_owned)
        .join("esm-servers")
}

/// Returns whether a program exists and succeeds with these arguments.
pub(super) fn answers(program: &str, arguments: &[&str]) -> Result<(), String> {
    succeeds(Command::new(program).args(arguments))
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{program}: {}: {}",
            output.status,
            last_line(&String::from_utf8_lossy(&output.stderr))
        ))
    }
}

fn last_line(text: &str) -> &str {
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.unwrap_or_default().trim()
}

/// Starts a server as a program that ends with the anchor.
pub(super) async fn started<S: Server>(
    directory: &Path,
    keeper: &Keeper,
) -> Result<String, String> {
    let mut failure = String::new();
    // another process may take the port before the program does
    for _ in 0..3 {
        match on_a_free_port::<S>(directory, keeper).await {
            Ok(address) => return Ok(address),
            Err(why) => failure = why,
        }
    }
    Err(failure)
}

async fn on_a_free_port<S: Server>(directory: &Path, keeper: &Keeper) -> Result<String, String> {
    let port = free_port().map_err(|error| format!("there is no free port: {error}"))?;
    // which may be installed first
    let program = tokio::task::block_in_place(|| S::program(port, directory))?;
    let log = directory.join("log");
    let mut kept = keeper.keep(&program, &log)?;
    let address = format!("127.0.0.1:{port}");
    let is_ready = ready::<S>(&address, || match kept.try_wait() {
        Ok(None) => Ok(()),
        _ => {
            let log = fs::read_to_string(&log).unwrap_or_default();
            Err(format!("the server has ended: {}", last_line(&log)))
        }
    });
    is_ready.await.map(|()| address)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
