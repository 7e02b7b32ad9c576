//! Azure blobs.

use std::path::Path;

use std::process::Command;
use testcontainers_modules::azurite::{Azurite as Image, BLOB_PORT};

use super::docker;
use super::program::{self, Package};
use super::server::{Server, Shared, put};

/// The container that the server has, which [`Azurite::container`] tells.
const CONTAINER: &str = "esm-test";

/// The account that every Azurite has. It is published and protects nothing.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Everything that the account may, until the end of the century: signed once with its key.
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

/// An Azurite, or nothing where none can be had; see [the module](super).
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
/// In continuous integration, where none can be had.
pub async fn azurite() -> Option<Azurite> {
    static SHARED: Shared<Kind> = Shared::new();
    let address = SHARED.address().await?;
    Some(Azurite { address })
}

impl Azurite {
    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The endpoint of the account's blobs: `http://127.0.0.1:PORT/devstoreaccount1`.
    pub fn endpoint(&self) -> String {
        format!("{}/{ACCOUNT}", self.url())
    }

    /// The account's name.
    pub fn account(&self) -> &'static str {
        ACCOUNT
    }

    /// The account's key.
    pub fn key(&self) -> &'static str {
        KEY
    }

    /// A shared access signature for everything in the account, as a query without `?`.
    pub fn sas(&self) -> &'static str {
        SAS
    }

    /// The container that it has; a test takes a prefix of its own in it.
    pub fn container(&self) -> &'static str {
        CONTAINER
    }

    /// The account as a connection string.
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
        let image = Image::default().with_skip_api_version_check();
        docker::start(image.with_disable_telemetry(), name, BLOB_PORT).await
    }

    fn program(port: u16, _directory: &Path) -> Result<Command, String> {
        for program in ["node", "npm"] {
            program::answers(program, &["--version"])?;
        }
        let installed = AZURITE.installed()?;
        let mut command = Command::new(installed.join("node_modules/.bin/azurite-blob"));
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck"]);
        command.args(["--disableTelemetry", "--silent"]);
        Ok(command)
    }

    async fn prepare(address: &str) -> Result<(), String> {
        let path = format!("/{ACCOUNT}/{CONTAINER}?restype=container&{SAS}");
        match put(address, &path).await? {
            // there is one: of an earlier test of this run
            201 | 409 => Ok(()),
            status => Err(format!("the container is answered by {status}")),
        }
    }
}
