//! The conformance suites of every kind of provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use esm_core::id::{BackupId, StreamId};
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_testkit::conformance::{
    BackupHarness, DamageHarness, EventStoreHarness, LockHarness, RecordsHarness, Services,
};

use crate::place::Place;

#[async_trait]
impl EventStoreHarness for Place {
    async fn open(&self) -> Arc<dyn EventStore> {
        self.store().await.event_store()
    }
}

#[async_trait]
impl RecordsHarness for Place {
    async fn open(&self) -> Arc<dyn Records> {
        self.store().await.records()
    }
}

#[async_trait]
impl LockHarness for Place {
    async fn open(&self) -> Arc<dyn LockProvider> {
        self.store().await.locks()
    }

    async fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
    }
}

/// The parts of the file that holds a backup's events.
const EVENTS: &str = "SELECT part.rowid FROM part JOIN object USING (upload)
     WHERE key LIKE 'backups/' || ?1 || '/%.events.ndjson.zst' ORDER BY part.number DESC LIMIT 1";

fn damage(place: &Place, id: &BackupId, change: impl FnOnce(&mut Vec<u8>)) -> bool {
    let connection = place.connection();
    let row: i64 = connection
        .query_row(EVENTS, [id.to_string()], |row| row.get(0))
        .unwrap();
    let mut body: Vec<u8> = connection
        .query_row("SELECT body FROM part WHERE rowid = ?1", [row], |found| {
            found.get(0)
        })
        .unwrap();
    change(&mut body);
    let changed = connection.execute(
        "UPDATE part SET body = ?2 WHERE rowid = ?1",
        rusqlite::params![row, body],
    );
    changed.unwrap() == 1
}

#[async_trait]
impl BackupHarness for Place {
    async fn open(&self) -> Arc<dyn BackupProvider> {
        self.store().await.backups()
    }

    async fn corrupt(&self, id: &BackupId) -> bool {
        damage(self, id, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        })
    }

    async fn truncate(&self, id: &BackupId) -> bool {
        damage(self, id, |bytes| bytes.truncate(bytes.len() / 2))
    }

    async fn change_retention(&self, id: &BackupId) -> bool {
        let longer = "UPDATE object SET body = CAST(replace(CAST(body AS TEXT),
            '\"keep_until\": \"2', '\"keep_until\": \"3') AS BLOB) WHERE key = ?1";
        let manifest = format!("backups/{id}/manifest.json");
        self.connection().execute(longer, [manifest]).unwrap() == 1
    }
}

/// The folder of a stream's cells, for names without capitals: see `docs/formats.md`.
fn cells(stream: &StreamId) -> String {
    let escaped = |c: char| match c {
        'a'..='z' | '0'..='9' | '-' => c.to_string(),
        _ => format!("_{:02x}", u32::from(c)),
    };
    let segment: String = stream.as_str().chars().map(escaped).collect();
    format!("streams/{segment}/c/")
}

#[async_trait]
impl DamageHarness for Place {
    async fn open(&self) -> Services {
        let store = self.store().await;
        Services {
            events: store.event_store(),
            records: store.records(),
            locks: store.locks(),
            backups: store.backups(),
        }
    }

    async fn lose_from(&self, stream: &StreamId, seq: u64) {
        let folder = cells(stream);
        let (first, end) = (format!("{folder}{seq:020}"), format!("{folder}a"));
        let lost = "DELETE FROM object WHERE key >= ?1 AND key < ?2";
        assert!(self.connection().execute(lost, [first, end]).unwrap() > 0);
    }

    async fn exchange_first(&self, one: &StreamId, other: &StreamId) {
        let [one, other] = [one, other].map(|stream| format!("{}{:020}", cells(stream), 0));
        let connection = self.connection();
        for (from, to) in [(&one, "aside"), (&other, &one), (&"aside".into(), &other)] {
            let rename = "UPDATE object SET key = ?2 WHERE key = ?1";
            assert_eq!(connection.execute(rename, [from.as_str(), to]).unwrap(), 1);
        }
    }
}

mod event_store {
    esm_testkit::event_store_conformance!(crate::place::Place::default());
}
mod records {
    esm_testkit::records_conformance!(crate::place::Place::default());
}
mod lock {
    esm_testkit::lock_conformance!(crate::place::Place::default());
}
mod backup {
    esm_testkit::backup_conformance!(crate::place::Place::default());
}
mod damage {
    esm_testkit::damage_conformance!(crate::place::Place::default());
}
