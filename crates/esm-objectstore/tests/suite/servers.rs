//! The conformance suites on servers that speak S3 and Azure's protocol. `cargo xtask test` starts
//! them, says where they are, and tells which could not be had.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::clock::Environment;
use esm_objectstore::{OpenOptions, Store};
use esm_testkit::conformance::{Case, backup, event_store, lock, records, run_case};
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};

use crate::places::{Place, Timed};

/// A client, and a prefix of its bucket that nobody else uses.
struct Bucket {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
}

#[async_trait]
impl Place for Bucket {
    async fn store(&self, options: OpenOptions) -> Store {
        let objects = Arc::clone(&self.objects);
        Store::from_object_store_or_create(objects, &self.prefix, options)
            .await
            .unwrap()
    }

    fn objects(&self) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.objects), Path::from(self.prefix.as_str()))
    }
}

fn no_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

type Client = fn(&str) -> Arc<dyn ObjectStore>;

/// Runs a suite, each case in a place of its own, and reports all that failed.
fn run<H: ?Sized>(
    variable: &str,
    client: Client,
    cases: &[Case<H>],
    harness: for<'a> fn(&'a Timed<Bucket>) -> &'a H,
) {
    let Ok(url) = std::env::var(variable) else {
        return;
    };
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            run_case(async {
                let place = Timed::new(Bucket {
                    objects: client(&url),
                    prefix: format!("suite/{}", Environment::system().uuid_v4()),
                });
                let failure = (case.run)(harness(&place)).await.err();
                failure.map(|failure| format!("{}: {failure}", case.name))
            })
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

macro_rules! suites {
    ($variable:literal) => {
        #[test]
        fn event_store() {
            super::run($variable, client, super::event_store::CASES, |place| place);
        }

        #[test]
        fn records() {
            super::run($variable, client, super::records::CASES, |place| place);
        }

        #[test]
        fn lock() {
            super::run($variable, client, super::lock::CASES, |place| place);
        }

        #[test]
        fn backup() {
            super::run($variable, client, super::backup::CASES, |place| place);
        }
    };
}

#[cfg(feature = "aws")]
mod s3 {
    use std::sync::Arc;

    use object_store::ObjectStore;

    fn client(url: &str) -> Arc<dyn ObjectStore> {
        let client = object_store::aws::AmazonS3Builder::new()
            .with_endpoint(url)
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_bucket_name("esm-test")
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_retry(super::no_retries())
            .build();
        Arc::new(client.unwrap())
    }

    suites!("ESM_TEST_S3");
}

#[cfg(feature = "azure")]
mod azure {
    use std::sync::Arc;

    use object_store::ObjectStore;

    /// The account that every emulator has; its key is public.
    const ACCOUNT: &str = "devstoreaccount1";
    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn client(url: &str) -> Arc<dyn ObjectStore> {
        let client = object_store::azure::MicrosoftAzureBuilder::new()
            .with_account(ACCOUNT)
            .with_access_key(KEY)
            .with_container_name("esm-test")
            .with_endpoint(format!("{url}/{ACCOUNT}"))
            .with_allow_http(true)
            .with_retry(super::no_retries())
            .build();
        Arc::new(client.unwrap())
    }

    suites!("ESM_TEST_AZURITE");
}
