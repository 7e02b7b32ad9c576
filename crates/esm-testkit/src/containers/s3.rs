//! S3.

use std::path::{Path, PathBuf};

use std::process::Command;

use super::program::{self, Package};
use super::server::{Server, put};
use super::shared::Shared;

/// The bucket in the server, returned by [`S3::bucket`].
const BUCKET: &str = "esm-test";

/// Makes moto's conditional writes atomic, which they are on a real S3.
const LAUNCHER: &str = include_str!("moto.py");

const MOTO: Package = Package {
    name: "moto-5.2.5",
    install: |directory| {
        let mut venv = std::process::Command::new("python3");
        venv.args(["-m", "venv"]).arg(directory);
        let mut pip = std::process::Command::new(python(directory));
        pip.args(["-m", "pip", "install", "--quiet", "moto[server]==5.2.5"]);
        vec![venv, pip]
    },
};

/// A server that speaks S3's protocol, with one bucket, for any credentials: moto.
///
/// It serves one request at a time: moto itself checks the condition of a write and stores it in
/// two steps, so two racing creations of one key could both succeed, which no real S3 does.
///
/// ```no_run
/// # async fn test() {
/// let Some(s3) = esm_testkit::containers::s3().await else { return };
/// println!("a bucket {} of {} is at {}", s3.bucket(), s3.region(), s3.url());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    address: String,
}

/// Returns an S3, or nothing where none can be started; see [the module](super).
///
/// ```no_run
/// # async fn test() {
/// let Some(s3) = esm_testkit::containers::s3().await else { return };
/// assert_eq!((s3.region(), s3.bucket()), ("us-east-1", "esm-test"));
/// # }
/// ```
///
/// # Panics
/// In continuous integration, where none can be started.
pub async fn s3() -> Option<S3> {
    static SHARED: Shared<Kind> = Shared::new();
    let address = SHARED.address().await?;
    Some(S3 { address })
}

impl S3 {
    /// Returns its endpoint: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns its region.
    pub fn region(&self) -> &'static str {
        "us-east-1"
    }

    /// Returns its bucket. Each test uses its own prefix in it.
    pub fn bucket(&self) -> &'static str {
        BUCKET
    }
}

fn python(directory: &Path) -> PathBuf {
    directory.join("bin").join("python")
}

#[derive(Debug)]
pub(super) struct Kind;

impl Server for Kind {
    const NAME: &str = "s3";
    const WHAT: &str = "S3 (moto)";

    async fn container(_name: &str) -> Result<String, String> {
        Err("there is no image whose conditional writes are atomic".to_owned())
    }

    fn program(port: u16, _directory: &Path) -> Result<Command, String> {
        program::answers("python3", &["-m", "venv", "--help"])?;
        let mut command = Command::new(python(&MOTO.installed()?));
        command.args(["-c", LAUNCHER, &port.to_string()]);
        Ok(command)
    }

    async fn prepare(address: &str) -> Result<(), String> {
        match put(address, &format!("/{BUCKET}")).await? {
            200 => Ok(()),
            status => Err(format!("creating the bucket returned {status}")),
        }
    }
}
