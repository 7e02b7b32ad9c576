//! Tests whether a native store keeps the guarantees that a migration rests on, on streams of the
//! test's own.

use std::sync::Arc;

use tracing::warn;

use crate::native::{CloseProof, NativeStore};
use crate::probe::Probe;
use crate::trial::{Failed, Finding, Trial, found};
use esm_core::Result;
use esm_core::clock::Environment;
use esm_core::id::StreamId;
use esm_core::store::Shortcoming;

/// The outcome of a self-test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tested {
    pub(super) finding: Option<Finding>,
    /// The closed stream that later openings test again; absent where none was closed.
    pub(super) closed: Option<StreamId>,
}

/// Runs all trials on fresh streams.
///
/// # Errors
/// Errors of the store that prove nothing about its guarantees.
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
            let error = error.context("the self-test of the event store did not complete");
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

/// Tests again, without leaving anything behind, the guarantee that is lost most easily: a trigger
/// was dropped, a permission was restored.
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
        Err(Failed::Error(error)) => {
            Err(error.context("the closed stream of an earlier self-test could not be tested"))
        }
    }
}
