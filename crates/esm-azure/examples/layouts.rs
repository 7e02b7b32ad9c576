//! Streams as numbered block blobs against streams as append blobs: what
//! `docs/decisions` weighs, measured. Needs Docker or npm for an Azurite.
//!
//! ```console
//! $ cargo run --release -p esm-azure --example layouts
//! ```

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::Bytes;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{ClientOptions, Context, Method, Request, RetryOptions};
use azure_storage_blob::models::{
    AppendBlobClientAppendBlockOptions, AppendBlobClientCreateOptions, BlobClientDownloadOptions,
    BlobClientGetPropertiesResultHeaders as _, BlockBlobClientUploadOptions,
};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use esm_testkit::containers;
use futures::{StreamExt as _, TryStreamExt as _};

/// Cells that an application wrote, one event each.
const CELLS: u64 = 200;
/// Small streams that a migration writes: one cell and a Close.
const STREAMS: u64 = 100;
/// About what a cell of one event takes.
const CELL: usize = 700;
const READ_AHEAD: usize = 8;

type Result<T> = azure_core::Result<T>;

/// Counts requests.
#[derive(Debug, Default)]
struct Counted {
    writes: AtomicU64,
    reads: AtomicU64,
}

#[async_trait]
impl Policy for Counted {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let is_read = matches!(request.method(), Method::Get | Method::Head);
        let count = if is_read { &self.reads } else { &self.writes };
        count.fetch_add(1, Ordering::Relaxed);
        next[0].send(context, request, &next[1..]).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let Some(azurite) = containers::azurite().await else {
        println!("no Azurite can be had");
        return Ok(());
    };
    let counted = Arc::new(Counted::default());
    let address = format!("{}/esm-test?{}", azurite.endpoint(), azurite.sas());
    let options = BlobContainerClientOptions {
        client_options: ClientOptions {
            retry: RetryOptions::none(),
            per_try_policies: vec![Arc::clone(&counted) as _],
            ..ClientOptions::default()
        },
        ..BlobContainerClientOptions::default()
    };
    let container = BlobContainerClient::new(address.parse()?, None, Some(options))?;
    let place = format!("layouts/{}", std::process::id());
    let measure = Measure {
        container,
        place,
        counted,
    };
    println!("{:<42} {:>7} {:>7} {:>9}", "", "writes", "reads", "ms");
    measure.numbered().await?;
    measure.append_blobs().await
}

struct Measure {
    container: BlobContainerClient,
    place: String,
    counted: Arc<Counted>,
}

impl Measure {
    async fn step<T>(&self, what: &str, step: impl Future<Output = Result<T>>) -> Result<T> {
        let before = self.counts();
        let begun = Instant::now();
        let done = step.await?;
        let (writes, reads) = self.counts();
        println!(
            "{what:<42} {:>7} {:>7} {:>9.1}",
            writes - before.0,
            reads - before.1,
            millis(begun.elapsed())
        );
        Ok(done)
    }

    fn counts(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.counted.writes), load(&self.counted.reads))
    }

    async fn numbered(&self) -> Result<()> {
        let cell = |stream: &str, seq: u64| format!("{}/n/{stream}/{seq:020}", self.place);
        self.step("numbered: 200 appends", async {
            for seq in 0..CELLS {
                self.create(&cell("long", seq)).await?;
            }
            Ok(())
        })
        .await?;
        self.step("numbered: loading 200 cells", async {
            let reads = (0..=CELLS).map(|seq| self.exists(cell("long", seq)));
            let found: Vec<bool> = futures::stream::iter(reads)
                .buffered(READ_AHEAD)
                .try_collect()
                .await?;
            Ok(found)
        })
        .await?;
        self.step("numbered: the end, known up to a cell", async {
            self.exists(cell("long", CELLS - 1)).await?;
            self.exists(cell("long", CELLS)).await
        })
        .await?;
        self.step("numbered: 100 streams, one cell and a Close", async {
            for stream in 0..STREAMS {
                for seq in 0..2 {
                    self.create(&cell(&stream.to_string(), seq)).await?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn append_blobs(&self) -> Result<()> {
        let blob = |stream: &str| format!("{}/a/{stream}", self.place);
        let long = blob("long");
        self.step("append blob: 200 appends", async {
            self.create_append_blob(&long).await?;
            for seq in 0..CELLS {
                self.append(&long, seq).await?;
            }
            Ok(())
        })
        .await?;
        self.step("append blob: loading 200 cells", async {
            self.exists(long.clone()).await
        })
        .await?;
        self.step("append blob: the end, known up to a cell", async {
            let blob = self.container.blob_client(&long);
            blob.get_properties(None).await?.content_length()
        })
        .await?;
        self.step("append blob: 100 streams, one cell and a Close", async {
            for stream in 0..STREAMS {
                let blob = blob(&stream.to_string());
                self.create_append_blob(&blob).await?;
                for seq in 0..2 {
                    self.append(&blob, seq).await?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn create(&self, name: &str) -> Result<()> {
        let options = BlockBlobClientUploadOptions::default().if_not_exists();
        let blob = self.container.blob_client(name);
        blob.upload(body().into(), Some(options)).await.map(|_| ())
    }

    async fn create_append_blob(&self, name: &str) -> Result<()> {
        let options = AppendBlobClientCreateOptions::default().if_not_exists();
        let blob = self.container.blob_client(name).append_blob_client();
        blob.create(Some(options)).await.map(|_| ())
    }

    async fn append(&self, name: &str, seq: u64) -> Result<()> {
        let options = AppendBlobClientAppendBlockOptions {
            append_position: i64::try_from(seq * CELL as u64).ok(),
            ..AppendBlobClientAppendBlockOptions::default()
        };
        let blob = self.container.blob_client(name).append_blob_client();
        blob.append_block(body().into(), CELL as u64, Some(options))
            .await
            .map(|_| ())
    }

    /// Reads a blob whole, in one request.
    async fn exists(&self, name: String) -> Result<bool> {
        let options = BlobClientDownloadOptions {
            parallel: Some(NonZero::<usize>::MIN),
            partition_size: NonZero::new(64 << 20),
            ..BlobClientDownloadOptions::default()
        };
        let blob = self.container.blob_client(&name);
        match blob.download(Some(options)).await {
            Ok(found) => found.body.collect().await.map(|_| true),
            Err(error)
                if error
                    .http_status()
                    .is_some_and(|status| u16::from(status) == 404) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

fn body() -> Bytes {
    Bytes::from(vec![b'x'; CELL])
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
