//! The marker of a native store: its identity, and the outcomes of its self-tests.
//!
//! It is a stream of its own. The first entry names the store, each later one is the outcome of a
//! self-test. Entries are appended at exact positions, so two processes that open the store for the
//! first time agree on one identity.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::native::{CloseProof, NativeStore, SliceLimit};
use crate::self_test::Tested;
use crate::trial::Finding;
use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::id::{EventId, EventType, StoreId, StreamId};
use esm_core::{Error, ErrorKind, Result};

const STREAM: &str = "esm-store";
const STORE: &str = "esm.Store";
const SELF_TEST: &str = "esm.SelfTest";
const FORMAT: u32 = 1;

/// The identity of a native store and its newest self-test.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    pub(super) store: StoreId,
    /// The newest self-test.
    pub(super) test: Option<SelfTest>,
    /// Number of entries.
    pub(super) entries: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Identity {
    format: u32,
    store: StoreId,
    created_at: Timestamp,
}

/// The outcome of a self-test, as recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SelfTest {
    format: u32,
    tested_at: Timestamp,
    /// The proof that was tested.
    pub(super) proof: CloseProof,
    /// The guarantee that the store does not keep, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) finding: Option<Finding>,
    /// A stream that was closed, which later openings test again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) closed: Option<StreamId>,
}

/// The part that every format has.
#[derive(Deserialize)]
struct Outline {
    format: u32,
}

impl SelfTest {
    pub(super) fn new(tested: &Tested, proof: CloseProof, environment: &Environment) -> Self {
        Self {
            format: FORMAT,
            tested_at: environment.clock.now(),
            proof,
            finding: tested.finding.clone(),
            closed: tested.closed.clone(),
        }
    }
}

pub(super) fn stream() -> Result<StreamId> {
    StreamId::new(STREAM)
}

impl Marker {
    /// Reads the marker; `None` where the store was never opened for writing.
    ///
    /// # Errors
    /// `Unsupported` for a newer format; `Corrupt`; those of the store.
    pub(super) async fn read(native: &dyn NativeStore) -> Result<Option<Self>> {
        let (stream, mut marker) = (stream()?, None::<Self>);
        let mut entries = 0;
        loop {
            let limit = SliceLimit {
                entries: 64,
                bytes: 1 << 20,
            };
            let slice = native.read(&stream, entries, limit).await?;
            if slice.entries.is_empty() {
                break;
            }
            for recorded in &slice.entries {
                let event = &recorded.entry.event;
                match (event.event_type.as_str(), &mut marker) {
                    (STORE, None) => {
                        let identity: Identity = decode(event)?;
                        marker = Some(Self {
                            store: identity.store,
                            test: None,
                            entries,
                        });
                    }
                    (SELF_TEST, Some(marker)) => marker.test = Some(decode(event)?),
                    _ => {}
                }
                entries += 1;
            }
        }
        if entries > 0 && marker.is_none() {
            return Err(
                Error::corrupt(format!("stream {STREAM} names no store")).with_hint(
                    "esm keeps its marker there: give an application's stream another name",
                ),
            );
        }
        Ok(marker.map(|marker| Self { entries, ..marker }))
    }

    /// Reads the marker, or creates it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) async fn read_or_create(
        native: &dyn NativeStore,
        environment: &Environment,
    ) -> Result<Self> {
        if let Some(marker) = Self::read(native).await? {
            return Ok(marker);
        }
        let identity = Identity {
            format: FORMAT,
            store: StoreId::from_uuid(environment.uuid_v4()),
            created_at: environment.clock.now(),
        };
        let event = encode(STORE, &identity, environment)?;
        match native.append(&stream()?, 0, vec![event.into()]).await {
            Ok(()) => {}
            // a concurrent append won, or the outcome is unknown: the recorded entry decides
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {}
            Err(e) => return Err(e.context("the store's marker could not be written")),
        }
        Self::read(native)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the store's marker was not written"))
    }

    /// Records the outcome of a self-test. Where a concurrent append won, its entry is recorded
    /// instead.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn record(
        &self,
        native: &Arc<dyn NativeStore>,
        test: &SelfTest,
        environment: &Environment,
    ) -> Result<()> {
        let event = encode(SELF_TEST, test, environment)?;
        match native
            .append(&stream()?, self.entries, vec![event.into()])
            .await
        {
            Err(e) if !matches!(e.kind(), ErrorKind::Conflict { .. } | ErrorKind::Ambiguous) => {
                Err(e.context("the outcome of the self-test could not be written"))
            }
            _ => Ok(()),
        }
    }
}

fn encode(event_type: &str, value: &impl Serialize, environment: &Environment) -> Result<Event> {
    let payload = serde_json::to_vec(value)
        .map_err(|e| Error::invalid("a marker cannot be written as JSON").with_source(e))?;
    let id = EventId::new(environment.uuid_v4().to_string())?;
    Ok(Event::new(id, EventType::new(event_type)?, payload))
}

fn decode<T: DeserializeOwned>(event: &Event) -> Result<T> {
    let corrupt = |e: serde_json::Error| {
        Error::corrupt(format!("an entry of stream {STREAM} cannot be read")).with_source(e)
    };
    let outline: Outline = serde_json::from_slice(&event.payload).map_err(corrupt)?;
    if outline.format > FORMAT {
        let message = format!("store has a newer format than {FORMAT}: {}", outline.format);
        return Err(Error::unsupported(message).with_hint("use a newer version of esm"));
    }
    serde_json::from_slice(&event.payload).map_err(corrupt)
}
