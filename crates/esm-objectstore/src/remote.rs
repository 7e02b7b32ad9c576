//! Clients of remote object stores, configured by the usual environment variables.

use std::sync::Arc;
use std::time::Duration;

use object_store::{BackoffConfig, ObjectStore, Result, RetryConfig};
use url::Url;

/// For what can be repeated: reads, lists, and uploads that are not conditional.
pub(crate) fn retrying() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 5,
        retry_timeout: Duration::from_secs(45),
    }
}

/// For conditional writes, whose outcome esm settles itself.
pub(crate) fn once() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..retrying()
    }
}

/// Chooses the cryptography of TLS for the process, unless the application has chosen it before.
#[cfg(feature = "https")]
fn choose_cryptography() {
    // an error says that it was chosen before
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(feature = "aws")]
pub(crate) fn s3(url: &Url, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>> {
    choose_cryptography();
    let client = object_store::aws::AmazonS3Builder::from_env()
        .with_url(url.as_str())
        .with_retry(retry)
        .build()?;
    Ok(Arc::new(client))
}

#[cfg(feature = "gcp")]
pub(crate) fn gcs(url: &Url, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>> {
    choose_cryptography();
    let client = object_store::gcp::GoogleCloudStorageBuilder::from_env()
        .with_url(url.as_str())
        .with_retry(retry)
        .build()?;
    Ok(Arc::new(client))
}

#[cfg(feature = "azure")]
pub(crate) fn azure(url: &Url, retry: RetryConfig) -> Result<Arc<dyn ObjectStore>> {
    choose_cryptography();
    let client = object_store::azure::MicrosoftAzureBuilder::from_env()
        .with_url(url.as_str())
        .with_retry(retry)
        .build()?;
    Ok(Arc::new(client))
}
