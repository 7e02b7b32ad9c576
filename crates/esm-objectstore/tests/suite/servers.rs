//! The conformance suites on servers that speak S3 and Azure's protocol.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_objectstore::{OpenOptions, Store};
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
        esm_objectstore::open_or_create_with_client(objects, &self.prefix, options)
            .await
            .unwrap()
    }

    fn objects(&self) -> (Arc<dyn ObjectStore>, Path) {
        (Arc::clone(&self.objects), Path::from(self.prefix.as_str()))
    }
}

/// Of TLS, which a client needs before it is built; another test may have chosen it already.
fn choose_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn no_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

/// A prefix of its own behind this client, for one case.
fn place(objects: Arc<dyn ObjectStore>) -> Timed<Bucket> {
    let prefix = format!("suite/{}", Environment::system().uuid_v4());
    Timed::new(Bucket { objects, prefix })
}

const INSIDE: &str = "ESM_TEST_INSIDE";

/// Whether this process was started by [`run_inside`].
fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs the test of this name again with these variables in its environment, which is where
/// clients that are made from an address look.
fn run_inside(test: &str, variables: &[(&str, String)]) {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "yes")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .status();
    assert!(status.unwrap().success());
}

/// A store by its address: made, found again, and not found where there is none.
async fn by_address(scheme: &str) {
    let address = format!(
        "{scheme}://esm-test/suite/{}",
        Environment::system().uuid_v4()
    );
    let made = esm_objectstore::open_or_create(&address, OpenOptions::new())
        .await
        .unwrap();
    let found = esm_objectstore::open(&address, OpenOptions::new())
        .await
        .unwrap();
    assert_eq!(
        (found.id(), found.location()),
        (made.id(), address.as_str())
    );

    let elsewhere = esm_objectstore::open(&format!("{address}/x"), OpenOptions::new())
        .await
        .unwrap_err();
    assert_eq!(elsewhere.kind(), &ErrorKind::NotFound);
    assert!(
        elsewhere.to_string().contains("no esm store is here"),
        "{elsewhere}"
    );
    let missing = format!("{scheme}://esm-no-such-bucket/prefix");
    for error in [
        esm_objectstore::open(&missing, OpenOptions::new())
            .await
            .unwrap_err(),
        esm_objectstore::open_or_create(&missing, OpenOptions::new())
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

/// The suites, on what the expression gives; it may return where there is nothing to test on.
macro_rules! suites {
    ($place:expr) => {
        mod event_store {
            esm_testkit::event_store_conformance!($place);
        }
        mod records {
            esm_testkit::records_conformance!($place);
        }
        mod lock {
            esm_testkit::lock_conformance!($place);
        }
        mod backup {
            esm_testkit::backup_conformance!($place);
        }
    };
}

#[cfg(feature = "aws")]
pub(crate) mod s3 {
    use std::sync::Arc;

    use esm_testkit::containers::{self, S3};
    use object_store::ObjectStore;

    fn client(s3: &S3) -> Arc<dyn ObjectStore> {
        client_at(&s3.url(), s3)
    }

    /// A client of this server, at an address that leads to it.
    pub(crate) fn client_at(url: &str, s3: &S3) -> Arc<dyn ObjectStore> {
        super::choose_cryptography();
        let client = object_store::aws::AmazonS3Builder::new()
            .with_endpoint(url)
            .with_allow_http(true)
            .with_region(s3.region())
            .with_bucket_name(s3.bucket())
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_retry(super::no_retries())
            .build();
        Arc::new(client.unwrap())
    }

    suites!(match esm_testkit::containers::s3().await {
        Some(s3) => crate::servers::place(crate::servers::s3::client(&s3)),
        None => return Ok(()),
    });

    fn variables(s3: &S3) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", s3.url()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", s3.region().to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    #[tokio::test]
    async fn by_address() {
        if super::is_inside() {
            super::by_address("s3").await;
        } else if let Some(s3) = containers::s3().await {
            super::run_inside("servers::s3::by_address", &variables(&s3));
        }
    }
}

#[cfg(feature = "azure")]
mod azure {
    use std::sync::Arc;

    use esm_core::ErrorKind;
    use esm_objectstore::OpenOptions;
    use esm_testkit::containers::{self, Azurite};
    use object_store::ObjectStore;

    fn client(azurite: &Azurite) -> Arc<dyn ObjectStore> {
        super::choose_cryptography();
        let client = object_store::azure::MicrosoftAzureBuilder::new()
            .with_account(azurite.account())
            .with_access_key(azurite.key())
            .with_container_name(azurite.container())
            .with_endpoint(azurite.endpoint())
            .with_allow_http(true)
            .with_retry(super::no_retries())
            .build();
        Arc::new(client.unwrap())
    }

    suites!(match esm_testkit::containers::azurite().await {
        Some(azurite) => crate::servers::place(crate::servers::azure::client(&azurite)),
        None => return Ok(()),
    });

    fn variables(azurite: &Azurite, key: &str) -> [(&'static str, String); 4] {
        [
            ("AZURE_STORAGE_ENDPOINT", azurite.endpoint()),
            ("AZURE_ALLOW_HTTP", "true".to_owned()),
            ("AZURE_STORAGE_ACCOUNT_NAME", azurite.account().to_owned()),
            ("AZURE_STORAGE_ACCOUNT_KEY", key.to_owned()),
        ]
    }

    #[tokio::test]
    async fn by_address() {
        if super::is_inside() {
            super::by_address("az").await;
        } else if let Some(azurite) = containers::azurite().await {
            let variables = variables(&azurite, azurite.key());
            super::run_inside("servers::azure::by_address", &variables);
        }
    }

    #[tokio::test]
    async fn a_wrong_key_is_a_missing_permission_and_told_nobody() {
        let wrong = "c2VjcmV0";
        if super::is_inside() {
            let opened =
                esm_objectstore::open_or_create("az://esm-test/x", OpenOptions::new()).await;
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
            assert!(error.hint().is_some() && !format!("{error:?}").contains(wrong));
        } else if let Some(azurite) = containers::azurite().await {
            let test = "servers::azure::a_wrong_key_is_a_missing_permission_and_told_nobody";
            super::run_inside(test, &variables(&azurite, wrong));
        }
    }
}
