//! Servers for the tests of the providers: installed below `target/`, started on free ports for one
//! run, gone when it ends.
//!
//! | variable | what | needs |
//! |---|---|---|
//! | `ESM_TEST_S3=http://127.0.0.1:PORT` | moto, with the bucket `esm-test`, any credentials | `python3` with venv and pip |
//! | `ESM_TEST_AZURITE=http://127.0.0.1:PORT` | Azurite, with the container `esm-test`, its well-known account | `node` and `npm` |
//!
//! Each test takes a fresh prefix in the bucket or container.

mod azurite;
mod install;
mod process;
mod s3;

use anyhow::Result;

pub(crate) use process::Server;

/// The bucket or container that every server has.
const CONTAINER: &str = "esm-test";

/// What came of starting all servers.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    /// Those that answer.
    pub(crate) running: Vec<Server>,
    /// Those that cannot be had: what is therefore not tested, and why.
    pub(crate) missing: Vec<(&'static str, String)>,
}

/// Starts a server, installing it first where that was not done before.
type Start = fn() -> Result<Server>;

const KINDS: &[(&str, Start)] = &[
    ("S3 (moto)", s3::start),
    ("Azure blobs (Azurite)", azurite::start),
];

/// Starts every server that this machine can have.
pub(crate) fn start() -> Servers {
    let mut servers = Servers::default();
    for (name, start) in KINDS {
        match start() {
            Ok(server) => servers.running.push(server),
            Err(error) => servers.missing.push((name, format!("{error:#}"))),
        }
    }
    servers
}
