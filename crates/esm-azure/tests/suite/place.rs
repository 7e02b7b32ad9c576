//! A place of its own on the server, for one test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Method, Request};
use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use azure_storage_blob::{BlobClient, BlobContainerClient};
use esm_azure::{Connection, OpenOptions, Store};
use esm_core::RollingHash;
use esm_core::clock::Environment;
use esm_core::id::{BackupId, EventId, StreamId, StreamRef};
use esm_core::store::{
    BackupDraft, BackupKind, BackupProvider, BackupSection, BackupSettings, EventStore,
    LockProvider, PageLimit, ReadFrom, Records, SectionSummary,
};
use esm_testkit::conformance::{BackupHarness, EventStoreHarness, LockHarness, RecordsHarness};
use esm_testkit::containers::{self, Azurite};
use futures::TryStreamExt as _;

/// The account's connection on a server at this URL, which speaks for Azurite.
pub(crate) fn connection(azurite: &Azurite, url: &str) -> Connection {
    let endpoint = format!("{url}/{}", azurite.account());
    Connection::with_account_key(&endpoint, azurite.account(), azurite.key()).unwrap()
}

/// A prefix in the servers' container that nobody else uses.
pub(crate) fn fresh_address() -> String {
    format!("az://esm-test/suite/{}", Environment::system().uuid_v4())
}

/// A place where a store can be, and the requests that were sent to it.
pub(crate) struct Place {
    pub(crate) azurite: Azurite,
    pub(crate) connection: Connection,
    pub(crate) address: String,
    requests: Requests,
}

impl Place {
    /// On Azurite; nothing where none can be had.
    pub(crate) async fn fresh() -> Option<Self> {
        let azurite = containers::azurite().await?;
        let url = azurite.url();
        Some(Self::behind(azurite, &url))
    }

    /// On an Azurite that is behind this URL.
    pub(crate) fn behind(azurite: Azurite, url: &str) -> Self {
        let requests = Requests::default();
        Self {
            connection: connection(&azurite, url).with_policy(Arc::new(requests.clone())),
            azurite,
            address: fresh_address(),
            requests,
        }
    }

    /// A handle as a process gets it that has just started.
    pub(crate) async fn store(&self) -> Store {
        self.store_with(OpenOptions::new()).await
    }

    pub(crate) async fn store_with(&self, options: OpenOptions) -> Store {
        esm_azure::open_or_create(&self.connection, &self.address, options)
            .await
            .unwrap()
    }

    /// The blob of a backup's events.
    async fn events_of(&self, id: &BackupId) -> BlobClient {
        let names = names(self).await;
        let folder = format!("/backups/{id}/");
        let events = names
            .iter()
            .find(|name| name.starts_with(&folder) && name.ends_with(".events.ndjson.zst"));
        blob(self, events.expect("the backup's events are there")).await
    }

    /// The requests that were sent since this was last asked: `METHOD what`, where `what` is the
    /// operation that the query names, if it does.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.requests_below();
        sent.into_iter().map(|(what, _)| what).collect()
    }

    /// As [`requests`](Self::requests), with the folder of the store that each was about.
    pub(crate) fn requests_below(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.requests.0.lock().unwrap())
    }
}

/// Requests, and the folder that each is about.
#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<Vec<(String, String)>>>);

#[async_trait]
impl Policy for Requests {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let operation = request
            .url()
            .query_pairs()
            .find(|(name, _)| name == "comp" || name == "restype")
            .map_or("blob".to_owned(), |(_, value)| value.into_owned());
        let method = match request.method() {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Head => "HEAD",
            Method::Delete => "DELETE",
            _ => "OTHER",
        };
        // az://esm-test/suite/ID/FOLDER/…
        let path = request.url().path().replace("%2F", "/");
        let folder = path.split('/').nth(5).unwrap_or_default().to_owned();
        let sent = (format!("{method} {operation}"), folder);
        self.0.lock().unwrap().push(sent);
        next[0].send(context, request, &next[1..]).await
    }
}

/// A container as the SDK sees it, to look behind the store's back.
pub(crate) fn container(azurite: &Azurite, name: &str) -> BlobContainerClient {
    let address = format!("{}/{name}?{}", azurite.endpoint(), azurite.sas());
    BlobContainerClient::new(address.parse().unwrap(), None, None).unwrap()
}

/// The names of the blobs of a place, below its prefix.
pub(crate) async fn names(place: &Place) -> Vec<String> {
    let prefix = place.address.strip_prefix("az://esm-test/").unwrap();
    let options = BlobContainerClientListBlobsOptions {
        prefix: Some(format!("{prefix}/")),
        ..BlobContainerClientListBlobsOptions::default()
    };
    let blobs = container(&place.azurite, "esm-test");
    let pages = blobs.list_blobs(Some(options)).unwrap().into_pages();
    let pages: Vec<_> = pages.try_collect().await.unwrap();
    let items = pages
        .into_iter()
        .flat_map(|page| page.into_model().unwrap().blob_items);
    items
        .filter_map(|blob| Some(blob.name?.strip_prefix(prefix)?.to_owned()))
        .collect()
}

/// The blob of a place whose name ends so.
pub(crate) async fn blob(place: &Place, end: &str) -> BlobClient {
    let prefix = place.address.strip_prefix("az://esm-test/").unwrap();
    let names = names(place).await;
    let name = names.iter().find(|name| name.ends_with(end));
    let name = name.unwrap_or_else(|| panic!("no blob ends in {end}: {names:?}"));
    container(&place.azurite, "esm-test").blob_client(&format!("{prefix}{name}"))
}

/// Changes the contents of a blob.
pub(crate) async fn change(blob: &BlobClient, change: impl FnOnce(&mut Vec<u8>)) {
    let body = blob.download(None).await.unwrap().body.collect().await;
    let mut bytes = body.unwrap().to_vec();
    change(&mut bytes);
    let changed = bytes::Bytes::from(bytes);
    blob.upload(changed.into(), None).await.unwrap();
}

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

/// The service's time cannot be set, so it passes for real: leases are as short as there are.
#[async_trait]
impl LockHarness for Place {
    async fn open(&self) -> Arc<dyn LockProvider> {
        self.store().await.locks()
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(15)
    }

    async fn pass(&self, duration: Duration) {
        Environment::system().clock.sleep(duration).await;
    }
}

#[async_trait]
impl BackupHarness for Place {
    async fn open(&self) -> Arc<dyn BackupProvider> {
        self.store().await.backups()
    }

    async fn corrupt(&self, id: &BackupId) -> bool {
        change(&self.events_of(id).await, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        })
        .await;
        true
    }

    async fn truncate(&self, id: &BackupId) -> bool {
        let events = self.events_of(id).await;
        change(&events, |bytes| bytes.truncate(bytes.len() / 2)).await;
        true
    }

    async fn change_retention(&self, id: &BackupId) -> bool {
        let manifest = blob(self, &format!("/backups/{id}/manifest.json")).await;
        change(&manifest, |bytes| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            let changed = text.replace("\"keep_until\": \"2", "\"keep_until\": \"3");
            assert_ne!(text, changed);
            *bytes = changed.into_bytes();
        })
        .await;
        true
    }
}

/// Backs up the first event of a stream, 6,000 times over with noise so that it takes two blocks.
pub(crate) async fn back_up(
    backups: &dyn BackupProvider,
    events: &dyn EventStore,
    stream: &StreamId,
) -> BackupId {
    let page = events.read(stream, ReadFrom::Seq(0), PageLimit::default());
    let cells = page.await.unwrap().cells;
    let stored: Vec<_> = cells.into_iter().flat_map(|cell| cell.events).collect();
    let environment = Environment::system();
    let mut state = 1_u64;
    let noise: Vec<_> = (0..6_000_u64)
        .map(|number| {
            let mut event = stored[0].event.clone();
            // what hardly compresses
            let letters = (0..1_200).map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b'0' + (state >> 58) as u8)
            });
            event.payload = letters.collect::<String>().into();
            event.id = EventId::new(number.to_string()).unwrap();
            event
        })
        .collect();
    let id = BackupId::new("a-backup").unwrap();
    let draft = BackupDraft {
        id: id.clone(),
        kind: BackupKind::Backup,
        migration: None,
        created_at: environment.clock.now(),
        settings: BackupSettings::default(),
    };
    let mut writer = backups.create(draft).await.unwrap();
    writer
        .section(BackupSection {
            object: "order/7".parse().unwrap(),
            stream: StreamRef {
                store: events.id(),
                stream: stream.clone(),
            },
            document: None,
        })
        .await
        .unwrap();
    for events in noise.chunks(1_000) {
        writer.events(events).await.unwrap();
    }
    let end = SectionSummary {
        events: noise.len() as u64,
        hash: RollingHash::of(&noise).to_string(),
    };
    writer.end(end).await.unwrap();
    writer.finish().await.unwrap();
    id
}
