//! Behind pgbouncer in transaction mode, where each statement may run in another session.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use esm_core::clock::Environment;
use esm_core::id::ObjectId;
use esm_core::migration::MigrationService;
use esm_core::router::{ExpectedRevision, ObjectClient, ReadPosition};
use esm_postgres::Database;
use esm_testkit::containers::PostgresVersion;
use esm_testkit::{Rule, Rules};
use futures::TryStreamExt as _;

use crate::local_server::{free_port, is_root};
use crate::place::{Place, event};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
const NOBODY: u32 = 65_534;

/// Ends when dropped.
struct Pooler {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pooler {
    /// In front of the server of a place, with two sessions for everybody. Nothing where pgbouncer
    /// is not installed.
    async fn before(place: &Place, test: &str) -> Option<(Self, Place)> {
        if !std::path::Path::new(PROGRAM).exists() {
            esm_testkit::not_tested(test, "pgbouncer is not installed here");
            return None;
        }
        let (_, rest) = place.address.split_once('@').unwrap();
        let (server, path) = rest.split_once('/').unwrap();
        let (host, port) = server.split_once(':').unwrap();
        let own = free_port();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "[databases]\n* = host={host} port={port} user=postgres password={}\n\
             [pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={own}\nauth_type=any\n\
             pool_mode=transaction\ndefault_pool_size=2\nmax_client_conn=100\n\
             unix_socket_dir=\nlogfile=\n",
            place.password
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(PROGRAM);
        if is_root() {
            for path in [folder.path(), &file] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut pooler = Self {
            child: child.unwrap(),
            folder,
        };
        let address = format!("postgres://postgres@127.0.0.1:{own}/{path}");
        let behind = Place::at(address, place.password);
        while Database::connect(behind.settings()).await.is_err() {
            let ended = pooler.child.try_wait().unwrap();
            assert!(ended.is_none(), "pgbouncer ended: {ended:?}");
            tokio::task::yield_now().await;
        }
        assert!(pooler.folder.path().exists());
        Some((pooler, behind))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_works_through_a_pooler_whose_sessions_are_shared() {
    let test = "pooler::a_store_works_through_a_pooler_whose_sessions_are_shared";
    for version in [PostgresVersion::V15, PostgresVersion::V18] {
        let Some(place) = Place::fresh(version).await else {
            continue;
        };
        let Some((_pooler, behind)) = Pooler::before(&place, test).await else {
            return;
        };
        let store = behind.store_in_real_time().await;
        let environment = Environment::system();
        let client = ObjectClient::new(store.records(), store.event_store(), environment);
        let objects: Vec<ObjectId> = (0..20)
            .map(|n| format!("order/{n}").parse().unwrap())
            .collect();
        let appends = objects.iter().map(|object| {
            client.append(
                object,
                ExpectedRevision::NoStream,
                vec![event("1"), event("2")],
            )
        });
        futures::future::try_join_all(appends).await.unwrap();
        let service = MigrationService::new(store.event_store(), store.records(), store.locks());
        let rules = Rules::new([("Placed", Rule::Split(2))]);
        let migrated = service.migrate_all().transform(rules).execute().await;
        assert!(
            migrated.as_ref().is_ok_and(|it| it.is_success()),
            "{migrated:?}"
        );
        for object in &objects {
            let read = client.read(object, ReadPosition::Start);
            let events: Vec<_> = read.try_collect().await.unwrap();
            assert_eq!(events.len(), 4, "{object}");
        }
    }
}
