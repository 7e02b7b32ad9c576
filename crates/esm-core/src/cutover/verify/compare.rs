//! Step 5: an independent second pass over all events. It always runs, and the cutover requires it.

use tokio::sync::watch;

use crate::RollingHash;
use crate::cutover::attempt::Attempt;
use crate::cutover::meter::{Lap, Phase};
use crate::cutover::source::cells::Written;
use crate::cutover::source::scan::{MappedEvent, SourceScan};
use crate::cutover::supervisor::Report;
use crate::cutover::target::reader::TargetReader;
use crate::cutover::verify::checks::ComparedStreams;
use crate::cutover::{Cutover, Urgency};
use crate::difference;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::protocol::decisions::Verified;
use crate::protocol::journal::VerifiedCheckpoint;
use crate::protocol::statistics::VerificationResult;
use crate::protocol::status::{MigrationStatus, Step};
use crate::store::{CellHeader, ReadFrom, Tail};
use crate::transform::EventCounts;

/// Source events between two journal checkpoints of a single object's migration.
const CHECKPOINT_EVERY: u64 = 250_000;

/// The compared prefix of two streams; the comparison continues from there when the source has
/// grown.
#[derive(Debug, Clone)]
pub(crate) struct Progressed {
    source_seq: u64,
    /// The cell of the target that the comparison continues in; absent after a checkpoint.
    target_seq: Option<u64>,
    source_events: Revision,
    target_events: Revision,
    /// Over the re-transformed source.
    source_hash: RollingHash,
    /// Over the re-read target.
    target_hash: RollingHash,
    counts: EventCounts,
    custom_checks: Vec<String>,
    /// The end of the source when the checks passed.
    checked: Option<Revision>,
    checkpointed: Revision,
    /// Whether a verification is complete and its checks passed.
    complete: bool,
}

impl Progressed {
    pub(crate) fn start() -> Self {
        Self {
            source_seq: 0,
            target_seq: Some(0),
            source_events: Revision::START,
            target_events: Revision::START,
            source_hash: RollingHash::new(),
            target_hash: RollingHash::new(),
            counts: EventCounts::default(),
            custom_checks: Vec::new(),
            checked: None,
            checkpointed: Revision::START,
            complete: false,
        }
    }

    /// Continues from a checkpoint of an earlier holder, if it belongs to this attempt.
    pub(crate) fn resume(attempt: &Attempt, checkpoint: Option<&VerifiedCheckpoint>) -> Self {
        let of_this = checkpoint.filter(|c| c.is_of(&attempt.source, &attempt.target));
        let Some(checkpoint) = of_this else {
            return Self::start();
        };
        Self {
            source_seq: checkpoint.source_seq,
            target_seq: None,
            source_events: checkpoint.source_events,
            target_events: checkpoint.target_events,
            source_hash: checkpoint.hash,
            target_hash: checkpoint.hash,
            counts: checkpoint.counts.clone(),
            custom_checks: Vec::new(),
            checked: None,
            checkpointed: checkpoint.source_events,
            complete: false,
        }
    }

    /// Returns where the comparison continues: at a cell of the source, or, with originals, at a
    /// revision.
    fn place(&self, attempt: &Attempt) -> ReadFrom {
        match attempt.originals {
            Some(_) => ReadFrom::Revision(self.source_events),
            None => ReadFrom::Seq(self.source_seq),
        }
    }

    /// Returns a reader of the target's events that are not compared.
    fn target(&self, attempt: &Attempt) -> TargetReader {
        match self.target_seq {
            Some(seq) => TargetReader::start_in(attempt, seq, self.target_events, None),
            None => TargetReader::start(attempt, ReadFrom::Revision(self.target_events)),
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn verified(&self) -> Verified {
        Verified {
            source_events: self.source_events,
            target_events: self.target_events,
        }
    }

    pub(crate) fn counts(&self) -> &EventCounts {
        &self.counts
    }

    pub(crate) fn result(&self, attempt: &Attempt) -> VerificationResult {
        VerificationResult {
            source: attempt.source.clone(),
            target: attempt.target.clone(),
            source_events: self.source_events,
            target_events: self.target_events,
            ledger: self.counts.ledger.clone(),
            hash: self.target_hash,
            custom_checks: self.custom_checks.clone(),
        }
    }

    fn checkpoint(&self, attempt: &Attempt) -> VerifiedCheckpoint {
        VerifiedCheckpoint {
            source: attempt.source.clone(),
            target: attempt.target.clone(),
            source_seq: self.source_seq,
            source_events: self.source_events,
            target_events: self.target_events,
            hash: self.target_hash,
            counts: self.counts.clone(),
        }
    }
}

/// Transforms the source again and compares it with the re-read target, from `progressed` up to
/// `source_end`, which is at this tail; writers may have appended more meanwhile. After an error `progressed` says what was
/// found equal until then, and is not complete.
///
/// # Errors
/// `VerificationFailed`, naming the revision and the difference; `TransformFailed`; those of the store.
pub(crate) async fn verify(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    progressed: &mut Progressed,
    source_tail: &Tail,
    source_end: Revision,
    urgency: Urgency,
) -> Result<()> {
    cutover.supervisor.report(Report::Begins {
        status: MigrationStatus::Verifying,
        step: Step::Verify,
        object: &attempt.object,
    });
    progressed.complete = false;
    let extent = Extent {
        source_tail: Some(source_tail),
        source_end,
        target_end: None,
        urgency,
    };
    compare_to(cutover, attempt, progressed, extent).await?;
    let since = progressed
        .checked
        .map(|at| progressed.source_events.0 - at.0);
    // the last round is compared event by event and does not repeat the user's checks
    if since.is_none_or(|events| events > cutover.copy.final_round) {
        run_checks(cutover, attempt, progressed).await?;
        progressed.checked = Some(progressed.source_events);
    }
    progressed.complete = true;
    Ok(())
}

/// As [`verify`], after the pivot: compares the events that the Close counts, without the checks.
pub(crate) async fn verify_closed(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    source_events: Revision,
    target_events: Revision,
) -> Result<Progressed> {
    let mut progressed = Progressed::start();
    let extent = Extent {
        source_tail: None,
        source_end: source_events,
        target_end: Some(target_events),
        urgency: Urgency::Paced,
    };
    compare_to(cutover, attempt, &mut progressed, extent).await?;
    Ok(progressed)
}

/// Whether [`follow`] can continue there.
pub(crate) fn can_follow(progressed: &Progressed) -> bool {
    progressed.target_seq.is_some()
}

/// Compares what a copy has written while it continues, until it ends. A target's cells never change
/// once they were acknowledged, so what is compared then need not be compared later. Both streams are
/// read, as by [`verify`], which completes the comparison.
///
/// # Errors
/// As [`verify`], with what was found equal until then in `progressed`.
pub(crate) async fn follow(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    progressed: &mut Progressed,
    written: watch::Receiver<Written>,
    urgency: Urgency,
) -> Result<()> {
    progressed.complete = false;
    let (seq, first) = (progressed.target_seq.unwrap_or(0), progressed.target_events);
    let mut target = TargetReader::start_in(attempt, seq, first, Some(written.clone()));
    let mut source = SourceScan::start(cutover, attempt, progressed.place(attempt));
    let pair = (&mut source, &mut target);
    let until = Until::Written(written);
    compare(cutover, attempt, progressed, pair, until, urgency).await
}

/// The range of events to compare.
struct Extent<'a> {
    /// Where the source was seen to end, if it was.
    source_tail: Option<&'a Tail>,
    source_end: Revision,
    /// The end in the target, when events appended after the cutover are not to be compared.
    target_end: Option<Revision>,
    urgency: Urgency,
}

/// How far the source is compared.
enum Until {
    End(Revision),
    /// As far as a copy under way has written the target.
    Written(watch::Receiver<Written>),
}

impl Until {
    /// Waits as the limits of the run demand. Returns `false` where the copy ends meanwhile: its outcome
    /// does not wait for them.
    async fn paced(&self, pace: impl Future<Output = Result<()>>) -> Result<bool> {
        let mut written = match self {
            Self::End(_) => return pace.await.map(|()| true),
            Self::Written(written) => written.clone(),
        };
        let ended = async { while written.changed().await.is_ok() {} };
        tokio::select! {
            biased;
            paced = pace => paced.map(|()| true),
            () = ended => Ok(false),
        }
    }

    /// Whether an event is to be compared. Waits until the copy has written it or ended.
    async fn includes(&mut self, revision: Revision, lap: &mut Lap<'_>) -> bool {
        let written = match self {
            Self::End(end) => return revision < *end,
            Self::Written(written) => written,
        };
        loop {
            if revision < written.borrow_and_update().source_events {
                return true;
            }
            if lap.rest(written.changed()).await.is_err() {
                return false;
            }
        }
    }
}

async fn compare_to(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    progressed: &mut Progressed,
    extent: Extent<'_>,
) -> Result<()> {
    let mut target = progressed.target(attempt);
    let from = progressed.place(attempt);
    let mut source = match extent.source_tail {
        Some(tail) => SourceScan::up_to(cutover, attempt, from, tail),
        None => SourceScan::start(cutover, attempt, from),
    };
    let pair = (&mut source, &mut target);
    let (end, urgency) = (extent.source_end, extent.urgency);
    let until = Until::End(end);
    compare(cutover, attempt, progressed, pair, until, urgency).await?;
    if progressed.source_events != end {
        let what = format!("the source ends before its revision {end}");
        return Err(failed(attempt, &what));
    }
    refuse_more(&mut target, attempt, progressed, extent.target_end).await?;
    balance(attempt, progressed)
}

async fn compare(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    progressed: &mut Progressed,
    (source, target): (&mut SourceScan, &mut TargetReader),
    mut until: Until,
    urgency: Urgency,
) -> Result<()> {
    let mut lap = cutover.lap(Phase::Verify);
    let mut goes_on = true;
    while goes_on && let Some(page) = source.next().await? {
        if !until.paced(cutover.pace(urgency, page.amount())).await? {
            break;
        }
        let before = progressed.source_events;
        let mut compared = Ok(());
        // events of a partly compared cell
        for event in page.events.into_iter().skip_while(|e| e.revision < before) {
            goes_on = until.includes(event.revision, &mut lap).await;
            if !goes_on {
                break;
            }
            compared = compare_event(attempt, progressed, event, target).await;
            if compared.is_err() {
                break;
            }
        }
        let is_compared = |h: &&CellHeader| h.next_revision() <= progressed.source_events;
        if let Some(last) = page.headers.iter().rfind(is_compared) {
            progressed.source_seq = last.seq + 1;
        }
        if progressed.target_seq.is_some() && compared.is_ok() {
            progressed.target_seq = Some(target.seq());
        }
        let count = progressed.source_events.0 - before.0;
        lap.done(count);
        cutover.supervisor.report(Report::Compared(count));
        compared?;
        if goes_on {
            checkpoint(cutover, attempt, progressed).await?;
        }
    }
    Ok(())
}

async fn compare_event(
    attempt: &Attempt,
    progressed: &mut Progressed,
    event: MappedEvent,
    target: &mut TargetReader,
) -> Result<()> {
    if event.revision != progressed.source_events {
        let expected = progressed.source_events;
        let what = format!("expected revision {expected}, found {}", event.revision);
        return Err(failed(attempt, &what));
    }
    let mapped = event.mapped?;
    // an error leaves the result as it was before the event
    let (mut source_hash, mut target_hash) = (progressed.source_hash, progressed.target_hash);
    let mut target_events = progressed.target_events;
    for output in &mapped.outputs {
        let at = format!(
            "source revision {}, target revision {target_events}",
            event.revision
        );
        let Some((revision, found)) = target.next().await? else {
            return Err(failed(attempt, &format!("the target ends too early: {at}")));
        };
        if revision != target_events {
            return Err(failed(attempt, &format!("found revision {revision}: {at}")));
        }
        if found.source_revision != Some(event.revision) {
            let says = found
                .source_revision
                .map_or("none".to_owned(), |r| r.to_string());
            return Err(failed(
                attempt,
                &format!("its source revision is {says}: {at}"),
            ));
        }
        if let Some(difference) = difference(output, &found.event) {
            return Err(failed(attempt, &format!("{difference}: {at}")));
        }
        source_hash.add(output);
        target_hash.add(&found.event);
        target_events = target_events.plus(1);
    }
    (progressed.source_hash, progressed.target_hash) = (source_hash, target_hash);
    progressed.target_events = target_events;
    progressed.source_events = event.revision.plus(1);
    let counts = &mut progressed.counts;
    counts.record(&event.schema, event.bytes, &mapped);
    Ok(())
}

/// Joins the results of a comparison and of what ran beside it. No other error hides a difference;
/// otherwise the other one comes first: it may be that the run is over.
///
/// # Errors
/// Either.
pub(crate) fn difference_first<T>(compared: Result<()>, beside: Result<T>) -> Result<T> {
    match compared {
        Err(e) if is_difference(&e) => Err(e),
        compared => {
            let beside = beside?;
            compared?;
            Ok(beside)
        }
    }
}

/// Whether a comparison has found a difference, and did not fail otherwise.
pub(crate) fn is_difference(error: &Error) -> bool {
    *error.kind() == ErrorKind::VerificationFailed
}

fn failed(attempt: &Attempt, what: &str) -> Error {
    let message = format!(
        "{} does not equal {} transformed: {what}",
        attempt.target, attempt.source
    );
    Error::new(ErrorKind::VerificationFailed, message).with_hint(
        "the object was not cut over; a transformer that is not deterministic fails here; roll back, fix \
         it, and migrate again",
    )
}

/// Checks that the ledger, the hashes and the counts agree with the comparison.
fn balance(attempt: &Attempt, progressed: &Progressed) -> Result<()> {
    let ledger = &progressed.counts.ledger;
    let balanced = ledger.balances()
        && ledger.source == progressed.source_events.0
        && ledger.outputs == progressed.target_events.0
        && progressed.source_hash == progressed.target_hash;
    if !balanced {
        return Err(failed(attempt, "the ledger does not balance"));
    }
    Ok(())
}

async fn checkpoint(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    progressed: &mut Progressed,
) -> Result<()> {
    let since = progressed.source_events.0 - progressed.checkpointed.0;
    if since < CHECKPOINT_EVERY {
        return Ok(());
    }
    let checkpoint = progressed.checkpoint(attempt);
    cutover.supervisor.checkpoint(checkpoint).await?;
    progressed.checkpointed = progressed.source_events;
    Ok(())
}

async fn run_checks(
    cutover: &Cutover<'_>,
    attempt: &Attempt,
    progressed: &mut Progressed,
) -> Result<()> {
    progressed.custom_checks.clear();
    for check in cutover.checks {
        cutover.supervisor.safe_point().await?;
        let streams = ComparedStreams::new(cutover.stores, attempt, progressed.verified());
        if let Err(reason) = check.check(&streams).await {
            let what = format!("check {:?} failed: {reason}", check.name());
            return Err(failed(attempt, &what));
        }
        progressed.custom_checks.push(check.name().to_owned());
    }
    Ok(())
}

/// Checks that the target ends with the last source event: at `end`, when events appended after the
/// cutover are not to be compared. Another migrator may have copied later source events already.
async fn refuse_more(
    target: &mut TargetReader,
    attempt: &Attempt,
    progressed: &Progressed,
    end: Option<Revision>,
) -> Result<()> {
    let end_differs = end.is_some_and(|end| end != progressed.target_events);
    let more = match end {
        Some(_) => None,
        None => target.next().await?,
    };
    let stray = more.is_some_and(|(_, event)| {
        event
            .source_revision
            .is_none_or(|revision| revision < progressed.source_events)
    });
    if end_differs || stray {
        let count = progressed.target_events;
        let what = format!("the target does not end after {count} events");
        return Err(failed(attempt, &what));
    }
    Ok(())
}
