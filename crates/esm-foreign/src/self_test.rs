//! Whether a native store keeps what a migration rests on: tried on streams of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::native::{CloseProof, NativeStore};
use crate::probe::Probe;
use esm_core::clock::Environment;
use esm_core::id::StreamId;
use esm_core::store::Shortcoming;
use esm_core::{Error, ErrorKind, Result};

/// What a self-test found that a store does not keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What the store does not do.
    pub shortcoming: Shortcoming,
    /// What was seen.
    pub seen: String,
}

/// What a self-test came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tested {
    pub(super) finding: Option<Finding>,
    /// The closed stream that later openings try again; absent where none was closed.
    pub(super) closed: Option<StreamId>,
}

/// The outcome of one trial: the store cannot be asked, or it failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The store does not keep something.
    Finding(Finding),
    /// Nothing was found out.
    Error(Error),
}

pub(super) type Trial<T = ()> = std::result::Result<T, Failed>;

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a store does not keep, and how that was seen.
pub(super) fn found<T>(shortcoming: Shortcoming, seen: impl Into<String>) -> Trial<T> {
    Err(Failed::Finding(Finding {
        shortcoming,
        seen: seen.into(),
    }))
}

/// Tries everything on fresh streams.
///
/// # Errors
/// Those of the store, where they say nothing about what it keeps.
pub(super) async fn self_test(
    native: &Arc<dyn NativeStore>,
    environment: &Environment,
) -> Result<Tested> {
    let mut probe = Probe::new(native, environment)?;
    let outcome = trials(&mut probe).await;
    let tested = match outcome {
        Ok(closed) => Tested {
            finding: None,
            closed: Some(closed),
        },
        Err(Failed::Finding(finding)) => {
            warn!(shortcoming = %finding.shortcoming, seen = %finding.seen, "self-test failed");
            Tested {
                finding: Some(finding),
                closed: None,
            }
        }
        Err(Failed::Error(error)) => {
            let error = error.context("the self-test of the event store could not be done");
            return Err(error.with_hint("open the store again"));
        }
    };
    probe.clean_up(tested.closed.as_ref()).await;
    Ok(tested)
}

async fn trials(probe: &mut Probe<'_>) -> Trial<StreamId> {
    probe.content_comes_back().await?;
    probe.appends_are_exact().await?;
    probe.one_of_many_appends_wins().await?;
    probe.a_close_is_exact().await?;
    probe.one_of_closes_and_appends_wins().await?;
    if probe.native.profile().proof == CloseProof::Nothing {
        let seen = "the adapter names nothing that keeps writers from appending after a close";
        return found(Shortcoming::CloseNotHonoured, seen);
    }
    probe.nothing_follows_a_close().await
}

/// Tries again, without leaving anything behind, what is lost most easily: a trigger that was
/// dropped, a permission that was given back.
///
/// # Errors
/// As [`self_test`].
pub(super) async fn still_keeps(
    native: &Arc<dyn NativeStore>,
    environment: &Environment,
    closed: &StreamId,
) -> Result<Option<Finding>> {
    let probe = Probe::new(native, environment)?;
    match probe.is_still_closed(closed).await {
        Ok(()) => Ok(None),
        Err(Failed::Finding(finding)) => Ok(Some(finding)),
        Err(Failed::Error(error)) => Err(error.context("the event store could not be tested")),
    }
}

/// Whether a writer was refused, or an answer that says nothing.
pub(super) fn refusal<T>(answer: Result<T>) -> Trial<bool> {
    match answer {
        Ok(_) => Ok(false),
        Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Ambiguous) => {
            Err(e.into())
        }
        Err(_) => Ok(true),
    }
}
