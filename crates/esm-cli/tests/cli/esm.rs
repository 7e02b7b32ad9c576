//! Runs the real program on a store of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A store in a fresh directory, and the program that works on it.
pub(crate) struct Esm {
    directory: TempDir,
}

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Esm {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    /// Something in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file into the directory; returns its path as an argument.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("the file can be written");
        path.to_str().expect("a readable path").to_owned()
    }

    /// The address of something in the directory.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esm"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ESM_") {
                command.env_remove(name);
            }
        }
        command
            .env("ESM_STORE", self.url("store"))
            // not the configuration of who runs the tests
            .env("XDG_CONFIG_HOME", self.path("config"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::new(self.command(arguments).output().expect("esm runs"))
    }

    /// Runs with standard input.
    pub(crate) fn run_with(&self, input: impl AsRef<[u8]>, arguments: &[&str]) -> Ran {
        let mut child = self.start(arguments);
        let mut stdin = child.stdin.take().expect("a pipe");
        // a program that stops early closes the pipe; what it says of it is what is tested
        let _ = stdin.write_all(input.as_ref());
        drop(stdin);
        Ran::new(child.wait_with_output().expect("esm ends"))
    }

    /// Starts with standard input open.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("esm starts")
    }

    /// Imports lines that must be right.
    pub(crate) fn import(&self, lines: &str) -> Ran {
        let ran = self.run_with(lines, &["import"]);
        ran.succeeded();
        ran
    }

    /// Everything in the store as lines.
    pub(crate) fn export(&self) -> String {
        let ran = self.run(&["export", "--all"]);
        ran.succeeded();
        ran.stdout
    }

    /// Every file of the store with its content: two equal ones mean that nothing was changed.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.path("store"), &mut files);
        files.sort();
        files
    }
}

fn collect(directory: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if let Ok(content) = std::fs::read(&path) {
            // a file that is being renamed at this time cannot be read
            files.push((path, content));
        }
    }
}

/// It has not ended.
#[track_caller]
pub(crate) fn is_at_work(child: &mut Child) {
    let ended = child.try_wait().expect("a state");
    assert!(ended.is_none(), "esm ended by itself: {ended:?}");
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn succeeded(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It ended with this code, and said all of this on standard error.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, said: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in said {
            assert!(
                self.stderr.contains(text),
                "{text:?} is missing in {self:?}"
            );
        }
        self
    }

    /// It said this on standard output.
    #[track_caller]
    pub(crate) fn printed(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text),
            "{text:?} is missing in {self:?}"
        );
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The error on standard error, from its last line.
    #[track_caller]
    pub(crate) fn json_error(&self) -> Value {
        let line = self.stderr.lines().last().unwrap_or_default();
        let document: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        document["error"].clone()
    }
}
