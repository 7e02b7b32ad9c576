//! The services and options that the attempts of one run share.

use std::sync::Arc;

use crate::clock::Environment;
use crate::cutover::meter::Meter;
use crate::cutover::meter::{Lap, Phase};
use crate::cutover::supervisor::{Amount, Supervisor};
use crate::cutover::verify::checks::VerificationCheck;
use crate::error::Result;
use crate::object::Documents;
use crate::protocol::plan::CopyOptions;
use crate::store::{OnRetired, Stores};
use crate::transform::{EventTransformer as _, Identity, Mapper};

/// The services and options that the attempts of one run share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cutover<'a> {
    pub(crate) stores: &'a Stores,
    pub(crate) documents: &'a Documents,
    pub(crate) environment: &'a Environment,
    pub(crate) mapper: &'a Mapper,
    pub(crate) meter: &'a Arc<Meter>,
    pub(crate) checks: &'a [Arc<dyn VerificationCheck>],
    pub(crate) copy: CopyOptions,
    /// The policy for retired schemas that outputs keep; absent if the plan has none.
    pub(crate) on_retired: Option<OnRetired>,
    pub(crate) supervisor: &'a dyn Supervisor,
    /// Whether the object is [large](crate::cutover::meter::is_large).
    pub(crate) large: bool,
}

/// Whether the limits of the run apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// The limits apply.
    Paced,
    /// No limit applies: the source is ready to be closed, and it grows with every delay.
    Immediate,
}

impl Cutover<'_> {
    /// Waits as long as the limits require before this amount is processed.
    ///
    /// # Errors
    /// The reason why the run must stop.
    pub(crate) async fn pace(&self, urgency: Urgency, amount: Amount) -> Result<()> {
        match urgency {
            Urgency::Paced => self.supervisor.pace(amount).await,
            Urgency::Immediate => self.supervisor.check(),
        }
    }

    /// A phase of the object begins, with this many events.
    pub(crate) fn begin(&self, phase: Phase, events: u64) {
        if self.large {
            self.meter.work().begin(phase, events);
        }
    }

    /// Starts to measure a phase.
    pub(crate) fn lap(&self, phase: Phase) -> Lap<'_> {
        Lap::start(self.meter, phase, self.large)
    }

    /// Whether the transformation leaves every event unchanged.
    pub(crate) fn is_identity(&self) -> bool {
        self.mapper.transformer().fingerprint() == Identity.fingerprint()
    }
}
