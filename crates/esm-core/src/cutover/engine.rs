//! What the attempts of one run share.

use std::sync::Arc;

use crate::clock::Environment;
use crate::cutover::checks::VerificationCheck;
use crate::cutover::meter::Meter;
use crate::cutover::supervisor::{Amount, Supervisor};
use crate::error::Result;
use crate::object::Documents;
use crate::protocol::planned::CopyOptions;
use crate::store::{OnRetired, Stores};
use crate::transform::{EventTransformer as _, Identity, Mapper};

/// What the attempts of one run share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cutover<'a> {
    pub(crate) stores: &'a Stores,
    pub(crate) documents: &'a Documents,
    pub(crate) environment: &'a Environment,
    pub(crate) mapper: &'a Mapper,
    pub(crate) meter: &'a Arc<Meter>,
    pub(crate) checks: &'a [Arc<dyn VerificationCheck>],
    pub(crate) copy: CopyOptions,
    /// Absent where nobody has chosen what becomes of retired schemas that outputs keep.
    pub(crate) on_retired: Option<OnRetired>,
    pub(crate) supervisor: &'a dyn Supervisor,
}

/// Whether the limits of the run apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// They do.
    Paced,
    /// They do not: the source is ready to be closed, and every delay lets it grow.
    Immediate,
}

impl Cutover<'_> {
    /// A point before this much is processed at which work may wait or stop.
    ///
    /// # Errors
    /// Why it must stop.
    pub(crate) async fn go_on(&self, urgency: Urgency, amount: Amount) -> Result<()> {
        match urgency {
            Urgency::Paced => self.supervisor.pace(amount).await,
            Urgency::Immediate => self.supervisor.check(),
        }
    }

    /// Whether every event stays as it is.
    pub(crate) fn is_identity(&self) -> bool {
        self.mapper.transformer().fingerprint() == Identity.fingerprint()
    }
}
