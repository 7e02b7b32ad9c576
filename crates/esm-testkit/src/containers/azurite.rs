//! Azurite, a server for Azure's blobs.

use std::path::Path;

use std::process::Command;
use testcontainers::ImageExt as _;
use testcontainers_modules::azurite::{Azurite as Image, BLOB_PORT};

use super::docker;
use super::program::{self, Package};
use super::server::{Server, put};
use super::shared::Shared;

/// The container in the server, returned by [`Azurite::container`].
const CONTAINER: &str = "esm-test";

/// The account of every Azurite. Its key is public and protects nothing.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Grants every permission of the account until the end of the century. Signed once with the key.
const SAS: &str = "sv=2020-12-06&ss=b&srt=sco&sp=rwdlacup&se=2100-01-01T00%3A00%3A00Z\
    &spr=https%2Chttp&sig=V%2BoqF7bpTh3VkYykrEwJcmRCflpEaJrIbD3m5UUC0Bw%3D";

const AZURITE: Package = Package {
    name: "azurite-3.35.0",
    install: |directory| {
        let mut npm = std::process::Command::new("npm");
        npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
        npm.arg(directory).arg("azurite@3.35.0");
        vec![npm]
    },
};

/// Options of every Azurite. On a disk it would write all that it stores anew every few seconds, and
/// a line for every request.
const OPTIONS: [&str; 4] = [
    "--inMemoryPersistence",
    "--silent",
    "--skipApiVersionCheck",
    "--disableTelemetry",
];

/// An Azurite: a server that speaks Azure's protocol for blobs, with one container.
///
/// ```no_run
/// # async fn test() {
/// let Some(azurite) = esm_testkit::containers::azurite().await else { return };
/// println!("{} in {}", azurite.container(), azurite.connection_string());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Azurite {
    address: String,
}

/// Returns an Azurite, or nothing where none can be started; see [the module](super).
///
/// ```no_run
/// # async fn test() {
/// let Some(azurite) = esm_testkit::containers::azurite().await else { return };
/// let connection = azurite.connection_string();
/// assert!(connection.starts_with("DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"));
/// # }
/// ```
///
/// # Panics
/// In continuous integration, where none can be started.
pub async fn azurite() -> Option<Azurite> {
    static SHARED: Shared<Kind> = Shared::new();
    let address = SHARED.address().await?;
    Some(Azurite { address })
}

impl Azurite {
    /// Returns its address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the endpoint of the account's blobs: `http://127.0.0.1:PORT/devstoreaccount1`.
    pub fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.url())
    }

    /// Returns the account's name.
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// Returns the account's key.
    pub fn key(&self) -> &'static str {
        KEY
    }

    /// Returns a shared access signature for the whole account, as a query without `?`.
    pub fn sas(&self) -> &'static str {
        SAS
    }

    /// Returns its container. Each test uses its own prefix in it.
    pub fn container(&self) -> &'static str {
        CONTAINER
    }

    /// Returns the account as a connection string.
    pub fn connection_string(&self) -> String {
        format!(
            "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={};",
            self.endpoint()
        )
    }
}

#[derive(Debug)]
pub(super) struct Kind;

impl Server for Kind {
    const NAME: &str = "azurite";
    const WHAT: &str = "Azure blobs (Azurite)";

    async fn container(name: &str) -> Result<String, String> {
        let hosts = ["--blobHost", "--queueHost", "--tableHost"].map(|host| [host, "0.0.0.0"]);
        let arguments = hosts.into_iter().flatten().chain(OPTIONS);
        let command = std::iter::once("azurite").chain(arguments);
        docker::start(Image::default().with_cmd(command), name, BLOB_PORT).await
    }

    fn program(port: u16, _directory: &Path) -> Result<Command, String> {
        for program in ["node", "npm"] {
            program::answers(program, &["--version"])?;
        }
        let installed = AZURITE.installed()?;
        let mut command = Command::new(installed.join("node_modules/.bin/azurite-blob"));
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(OPTIONS);
        Ok(command)
    }

    async fn prepare(address: &str) -> Result<(), String> {
        let path = format!("/{ACCOUNT}/{CONTAINER}?restype=container&{SAS}");
        match put(address, &path).await? {
            // it exists already: an earlier test of this run has created it
            201 | 409 => Ok(()),
            status => Err(format!("creating the container returned {status}")),
        }
    }
}
