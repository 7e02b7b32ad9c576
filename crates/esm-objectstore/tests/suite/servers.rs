//! The conformance suites on servers that speak S3 and Azure's protocol. `cargo xtask test` starts
//! them, says where they are, and tells which could not be had.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::ErrorKind;
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

/// Runs the test of this name again with these variables in its environment, which is where
/// clients that are made from an address look. Answers whether this is that run.
fn has_environment(test: &str, variable: &str, others: &[(&str, &str)]) -> bool {
    const INSIDE: &str = "ESM_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if let Ok(url) = std::env::var(variable) {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "yes")
            .envs(
                others
                    .iter()
                    .map(|(name, value)| (name, value.replace("URL", &url))),
            )
            .status();
        assert!(status.unwrap().success());
    }
    false
}

/// A store by its address: made, found again, and not found where there is none.
async fn by_address(scheme: &str) {
    let address = format!(
        "{scheme}://esm-test/suite/{}",
        Environment::system().uuid_v4()
    );
    let made = Store::open_or_create(&address, OpenOptions::new())
        .await
        .unwrap();
    let found = Store::open(&address, OpenOptions::new()).await.unwrap();
    assert_eq!(
        (found.id(), found.location()),
        (made.id(), address.as_str())
    );

    let elsewhere = Store::open(&format!("{address}/x"), OpenOptions::new())
        .await
        .unwrap_err();
    assert_eq!(elsewhere.kind(), &ErrorKind::NotFound);
    assert!(
        elsewhere.to_string().contains("no esm store is here"),
        "{elsewhere}"
    );
    let missing = format!("{scheme}://esm-no-such-bucket/prefix");
    for error in [
        Store::open(&missing, OpenOptions::new()).await.unwrap_err(),
        Store::open_or_create(&missing, OpenOptions::new())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), &ErrorKind::NotFound, "{error:?}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("bucket")),
            "{error:?}"
        );
    }
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

    #[tokio::test]
    async fn by_address() {
        let variables = [
            ("AWS_ENDPOINT_URL", "URL"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        if super::has_environment("servers::s3::by_address", "ESM_TEST_S3", &variables) {
            super::by_address("s3").await;
        }
    }
}

#[cfg(feature = "azure")]
mod azure {
    use std::sync::Arc;

    use esm_core::ErrorKind;
    use esm_objectstore::{OpenOptions, Store};
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

    fn variables(key: &str) -> [(&str, &str); 4] {
        [
            ("AZURE_STORAGE_ENDPOINT", "URL/devstoreaccount1"),
            ("AZURE_ALLOW_HTTP", "true"),
            ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
            ("AZURE_STORAGE_ACCOUNT_KEY", key),
        ]
    }

    #[tokio::test]
    async fn by_address() {
        let test = "servers::azure::by_address";
        if super::has_environment(test, "ESM_TEST_AZURITE", &variables(KEY)) {
            super::by_address("az").await;
        }
    }

    #[tokio::test]
    async fn a_wrong_key_is_a_missing_permission_and_told_nobody() {
        let test = "servers::azure::a_wrong_key_is_a_missing_permission_and_told_nobody";
        let wrong = "c2VjcmV0";
        if super::has_environment(test, "ESM_TEST_AZURITE", &variables(wrong)) {
            let opened = Store::open_or_create("az://esm-test/x", OpenOptions::new()).await;
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
            assert!(error.hint().is_some() && !format!("{error:?}").contains(wrong));
        }
    }
}
