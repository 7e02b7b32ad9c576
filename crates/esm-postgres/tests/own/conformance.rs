//! The conformance suites, on the oldest and on the newest server.

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

#[async_trait]
impl BackupHarness for Place {
    async fn open(&self) -> Arc<dyn BackupProvider> {
        self.store().await.backups()
    }

    async fn corrupt(&self, id: &BackupId) -> bool {
        let middle = "set_byte(body, length(body) / 2, get_byte(body, length(body) / 2) # 1)";
        change_events(self, id, middle).await
    }

    async fn truncate(&self, id: &BackupId) -> bool {
        change_events(self, id, "substring(body FROM 1 FOR length(body) / 2)").await
    }

    async fn change_retention(&self, id: &BackupId) -> bool {
        let longer = format!(
            "UPDATE esm.object SET body = convert_to(replace(convert_from(body, 'UTF8'),
                 '\"keep_until\": \"2', '\"keep_until\": \"3'), 'UTF8')
             WHERE key = 'backups/{id}/manifest.json'"
        );
        self.execute(&longer).await == 1
    }
}

/// Changes the last part of the file that holds a backup's events.
async fn change_events(place: &Place, id: &BackupId, changed: &str) -> bool {
    let change = format!(
        "UPDATE esm.part SET body = {changed} WHERE (upload, number) = (
             SELECT part.upload, max(part.number) FROM esm.part JOIN esm.object USING (upload)
             WHERE key LIKE 'backups/{id}/%.events.ndjson.zst' GROUP BY part.upload)"
    );
    place.execute(&change).await == 1
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
        let lost = format!(
            "DELETE FROM esm.object WHERE key >= '{folder}{seq:020}' AND key < '{folder}a'"
        );
        assert!(self.execute(&lost).await > 0);
    }

    async fn exchange_first(&self, one: &StreamId, other: &StreamId) {
        let [one, other] = [one, other].map(|stream| format!("{}{:020}", cells(stream), 0));
        for (from, to) in [(&one, "aside"), (&other, &one), (&"aside".into(), &other)] {
            let rename = format!("UPDATE esm.object SET key = '{to}' WHERE key = '{from}'");
            assert_eq!(self.execute(&rename).await, 1);
        }
    }
}

/// The suites on one version, each case in a database of its own.
macro_rules! on {
    ($name:ident, $version:ident) => {
        mod $name {
            macro_rules! place {
                () => {
                    match crate::place::Place::fresh(
                        esm_testkit::containers::PostgresVersion::$version,
                    )
                    .await
                    {
                        Some(place) => place,
                        None => return Ok(()),
                    }
                };
            }

            mod event_store {
                esm_testkit::event_store_conformance!(place!());
            }
            mod records {
                esm_testkit::records_conformance!(place!());
            }
            mod lock {
                esm_testkit::lock_conformance!(place!());
            }
            mod backup {
                esm_testkit::backup_conformance!(place!());
            }
            mod damage {
                esm_testkit::damage_conformance!(place!());
            }
        }
    };
}

on!(on_15, V15);
on!(on_18, V18);
