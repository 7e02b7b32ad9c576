//! Copies an object's events, and compares them meanwhile where a lane is free.

use futures::future;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::ObjectRun;
use crate::cutover::attempt::{Attempt, Sight};
use crate::cutover::copy::{self, Copied, Follower};
use crate::cutover::meter::UnderWay;
use crate::cutover::source::cells::Written;
use crate::cutover::supervisor::Supervisor as _;
use crate::cutover::verify::compare::{self, Progressed};
use crate::error::Result;
use crate::event::Revision;
use crate::migration::limits::lanes::LaneTaken;
use crate::protocol::phase::MigrationPhase;
use crate::store::Lane;

impl ObjectRun<'_> {
    /// Publishes that the attempt is copied, where phases are wanted, and copies. Nothing rests on a
    /// phase, so neither waits for the other.
    pub(super) async fn publish_and_copy(
        &mut self,
        attempt: &mut Attempt,
        sight: Sight,
        from: Revision,
        progressed: &mut Progressed,
    ) -> Result<Copied> {
        let (context, told) = (self.context, attempt.clone());
        let events = attempt.to_copy(sight.source_tail.next_revision());
        let mut published = std::mem::take(&mut self.published);
        let publishing = async {
            let phase = MigrationPhase::DualWrite;
            published.reach(context, &told, events, phase).await;
        };
        let copying = self.copy(attempt, sight, from, progressed);
        let ((), copied) = future::join(publishing, copying).await;
        self.published = published;
        copied
    }

    /// Copies up to the end of the source. Where more than one cell is to be written and a lane is free,
    /// that lane compares what was written.
    async fn copy(
        &mut self,
        attempt: &mut Attempt,
        sight: Sight,
        from: Revision,
        progressed: &mut Progressed,
    ) -> Result<Copied> {
        let urgency = self.readiness.urgency();
        let events = attempt.to_copy(sight.source_tail.next_revision());
        let Some(_lane) = self.second_lane(events.0 - from.0, progressed) else {
            return copy::copy(&self.cutover(), attempt, sight, from, urgency, None).await;
        };
        let _under_way = UnderWay::begin(&self.context.live.meter);
        let cutover = self.cutover();
        let (sender, written) = watch::channel(Written::default());
        let failed = CancellationToken::new();
        let follower = Follower {
            written: sender,
            failed: failed.clone(),
        };
        let compared_attempt = attempt.clone();
        let copying = copy::copy(&cutover, attempt, sight, from, urgency, Some(follower));
        let lane = Lane::default();
        let comparing = lane.run(async {
            let attempt = &compared_attempt;
            match compare::follow(&cutover, attempt, progressed, written, urgency).await {
                Err(e) if compare::is_difference(&e) => {
                    failed.cancel();
                    Err(e)
                }
                Err(error) => {
                    // the copy continues, and what follows it compares the rest
                    debug!(%error, "the comparison beside the copy ended early");
                    Ok(())
                }
                Ok(()) => Ok(()),
            }
        });
        // neither is dropped for the other: an append under way ends, because an undo may follow; and
        // what was acknowledged is compared, because a difference in it must not be missed
        let (copied, compared) = future::join(copying, comparing).await;
        compare::difference_first(compared, copied)
    }

    /// Takes another lane, if this many events are more than a cell and a lane is free.
    fn second_lane(&self, events: u64, progressed: &Progressed) -> Option<LaneTaken<'_>> {
        let cell = self.context.cell_limits().events as u64;
        if events <= cell.min(SHORT) || !compare::can_follow(progressed) {
            return None;
        }
        let live = &self.context.live;
        live.lanes.spare(live.steering.settings().concurrency)
    }
}

/// Fewer events are one cell, whatever its limits.
const SHORT: u64 = 512;
