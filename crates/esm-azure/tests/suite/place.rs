//! A place of its own on the server, for one test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Method, Request};
use azure_storage_blob::BlobContainerClient;
use esm_azure::{Connection, OpenOptions, Store};
use esm_core::clock::Environment;
use esm_core::id::BackupId;
use esm_core::store::{BackupProvider, EventStore, LockProvider, Records};
use esm_testkit::conformance::{BackupHarness, EventStoreHarness, LockHarness, RecordsHarness};
use futures::TryStreamExt as _;

/// The account that every emulator has; its key is public.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Where Azurite answers; nothing where there is none.
pub(crate) fn azurite() -> Option<String> {
    std::env::var("ESM_TEST_AZURITE").ok()
}

/// The account's connection string on a server at this URL.
pub(crate) fn connection_string(server: &str) -> String {
    format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};\
         BlobEndpoint={server}/{ACCOUNT};"
    )
}

pub(crate) fn connection(server: &str) -> Connection {
    Connection::from_connection_string(&connection_string(server)).unwrap()
}

/// A prefix in the servers' container that nobody else uses.
pub(crate) fn fresh_address() -> String {
    format!("az://esm-test/suite/{}", Environment::system().uuid_v4())
}

/// A place where a store can be, and the requests that were sent to it.
pub(crate) struct Place {
    pub(crate) connection: Connection,
    pub(crate) address: String,
    requests: Requests,
}

impl Place {
    /// On Azurite; nothing where there is none.
    pub(crate) fn fresh() -> Option<Self> {
        Some(Self::at(&azurite()?))
    }

    /// On a server of this URL.
    pub(crate) fn at(server: &str) -> Self {
        let requests = Requests::default();
        Self {
            connection: connection(server).with_policy(Arc::new(requests.clone())),
            address: fresh_address(),
            requests,
        }
    }

    /// A handle as a process gets it that has just started.
    pub(crate) async fn store(&self) -> Store {
        self.store_with(OpenOptions::new()).await
    }

    pub(crate) async fn store_with(&self, options: OpenOptions) -> Store {
        Store::open_or_create(&self.connection, &self.address, options)
            .await
            .unwrap()
    }

    /// The requests that were sent since this was last asked.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.0.lock().unwrap())
    }
}

/// Requests as `METHOD what`, where `what` is the operation that the query names, if it does.
#[derive(Debug, Clone, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

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
        self.0.lock().unwrap().push(format!("{method} {operation}"));
        next[0].send(context, request, &next[1..]).await
    }
}

/// The container as the SDK sees it, to look behind the store's back. Signed by a policy of the
/// connection's own kind: a signature in the address.
pub(crate) fn container(server: &str, name: &str) -> BlobContainerClient {
    let url = crate::signature::signed(&format!("{server}/{ACCOUNT}/{name}"));
    BlobContainerClient::new(url, None, None).unwrap()
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
        let prefix = self.address.strip_prefix("az://esm-test/").unwrap();
        let blobs = container(&azurite().unwrap(), "esm-test");
        let pages = blobs.list_blobs(None).unwrap().into_pages();
        let names: Vec<String> = pages
            .map_ok(|page| page.into_model().unwrap().blob_items)
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .into_iter()
            .flatten()
            .filter_map(|blob| blob.name)
            .collect();
        let name = names
            .iter()
            .find(|name| {
                name.starts_with(&format!("{prefix}/backups/{id}/"))
                    && name.ends_with(".events.ndjson.zst")
            })
            .expect("the backup's events are there");
        let blob = blobs.blob_client(name);
        let bytes = blob.download(None).await.unwrap().body.collect().await;
        let mut bytes = bytes.unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let changed = bytes::Bytes::from(bytes);
        blob.upload(changed.into(), None).await.unwrap();
        true
    }
}
