//! Databases to test on.

use esm_core::Result;
use esm_postgres::{Database, LayoutStore, Settings};
use esm_testkit::containers::{self, Postgres, PostgresVersion};

/// An empty database of a real server.
pub(crate) struct Place {
    pub(crate) address: String,
    password: &'static str,
}

/// Returns an empty database on each version whose server can be started.
pub(crate) async fn places() -> Vec<Place> {
    let mut places = Vec::new();
    for version in [PostgresVersion::V15, PostgresVersion::V18] {
        if let Some(server) = containers::postgres(version).await {
            places.push(Place::of(&server).await);
        }
    }
    places
}

impl Place {
    /// An empty database of a server.
    pub(crate) async fn of(server: &Postgres) -> Self {
        Self {
            address: server.database().await,
            password: server.password(),
        }
    }

    /// The settings of the address with this text behind it, such as `?layout=marten`.
    pub(crate) fn settings(&self, parameters: &str) -> Result<Settings> {
        self.settings_of(&format!("{}{parameters}", self.address), self.password)
    }

    /// The settings of another address of the same server.
    pub(crate) fn settings_at(&self, address: &str) -> Result<Settings> {
        self.settings_of(address, self.password)
    }

    pub(crate) fn settings_of(&self, address: &str, password: &str) -> Result<Settings> {
        Settings::new(address, |name| {
            (name == "PGPASSWORD").then(|| password.to_owned())
        })
    }

    pub(crate) async fn connect(&self) -> Result<Database> {
        Database::connect(self.settings("")?).await
    }
}

/// The tables of a library, with events.
pub(crate) fn tables_of(library: &str) -> &'static str {
    match library {
        "cqrs-es" => include_str!("libraries/cqrs-es.sql"),
        "emmett" => include_str!("libraries/emmett.sql"),
        "eventuous" => include_str!("libraries/eventuous.sql"),
        "marten" => include_str!("libraries/marten.sql"),
        "message-db" => include_str!("libraries/message-db.sql"),
        other => panic!("no tables of {other}"),
    }
}

impl Place {
    /// Runs statements as the owner of the database, as applications do.
    pub(crate) async fn run(&self, sql: &str) {
        let client = self.connect().await.unwrap().open().await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }

    /// Opens the layout of the database, with this text behind its address.
    pub(crate) async fn layout(&self, parameters: &str) -> Result<LayoutStore> {
        let database = Database::connect(self.settings(parameters)?).await?;
        LayoutStore::open(database).await
    }
}

/// The password of every role of a test.
const ROLE_PASSWORD: &str = "r";

impl Place {
    /// Creates a role that can read stores, and returns the same database as that role, and its name.
    pub(crate) async fn as_role(&self) -> (Place, String) {
        let environment = esm_core::clock::Environment::system();
        let role = format!("role_{}", environment.uuid_v4().simple());
        self.run(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{ROLE_PASSWORD}';
             GRANT EXECUTE ON FUNCTION pg_control_system() TO {role}"
        ))
        .await;
        let place = Place {
            address: self.address.replace("postgres@", &format!("{role}@")),
            password: ROLE_PASSWORD,
        };
        (place, role)
    }

    /// Removes a role and what it owns.
    pub(crate) async fn drop_role(&self, role: &str) {
        self.run(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
            .await;
    }
}
