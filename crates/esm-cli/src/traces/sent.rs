//! Traces that are sent to a collector, in batches, while the command works.

use std::time::Duration;

use async_trait::async_trait;
use esm_core::{Error, ErrorKind, Result};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;

use super::Spans;
use crate::output::Output;

/// How long a batch may take; also how long the end of the command waits for the last ones.
const PATIENCE: Duration = Duration::from_secs(5);

/// The traces of this process, where a collector is given.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Sends traces to the collector at this URL, by tasks of this runtime.
    ///
    /// # Errors
    /// `Invalid` for what is no URL of HTTP.
    pub(crate) fn start(collector: Option<&str>, runtime: &Handle) -> Result<Self> {
        collector.map_or(Ok(Self(None)), |collector| {
            Ok(Self(Some(provider(collector, runtime)?)))
        })
    }

    /// What receives the spans: those of esm alone, because sending them has spans of its own.
    pub(crate) fn spans(&self) -> Option<Spans> {
        let tracer = self.0.as_ref()?.tracer("esm");
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false);
        let own = Targets::new().with_target("esm", Level::INFO);
        Some(layer.with_filter(own).boxed())
    }

    /// Sends what was not sent yet. What the collector does not take is lost, and fails nothing.
    pub(crate) fn end(self, output: &Output) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(PATIENCE)
        {
            output.note(format!("not all traces were sent: {error}"));
        }
    }
}

fn provider(collector: &str, runtime: &Handle) -> Result<SdkTracerProvider> {
    let wrong = |why: String| {
        Error::invalid(format!("not the URL of a collector: {why}: {collector}"))
            .with_hint("expected for example --otlp http://localhost:4318")
    };
    let url = reqwest::Url::parse(collector).map_err(|e| wrong(e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(
            "it does not begin with http:// or https://".to_owned(),
        ));
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .with_http_client(Client::new(runtime)?)
        .build()
        .map_err(|e| wrong(e.to_string()))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder()
        .with_service_name("esm")
        .with_attribute(version);
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}

/// A client whose requests run on a runtime: batches are sent from a thread that has none.
#[derive(Debug)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

impl Client {
    fn new(runtime: &Handle) -> Result<Self> {
        // an error says that it was chosen before
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(PATIENCE).build();
        let failed = |e| Error::new(ErrorKind::Unsupported, format!("no client of HTTP: {e}"));
        Ok(Self {
            client: client.map_err(failed)?,
            runtime: runtime.clone(),
        })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move { client.send_bytes(request).await };
        self.runtime.spawn(sent).await?
    }
}
