//! How much of a run is done, and the estimated time left.
//!
//! Every phase has a rate of its own, which the run measures. The time left is the work left at
//! those rates, in relation to the work done and the time that it took.

use std::time::Duration;

use crate::cutover::meter::{Phase, PhasesWork, SmallCost, SmallWork, Totals};
use crate::protocol::plan::PlannedMigration;
use crate::transform::{EventTransformer as _, Identity};

/// The phases of a run that not every run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OptionalPhases {
    pub(crate) analyses: bool,
    pub(crate) backs_up: bool,
    pub(crate) archives: bool,
}

impl OptionalPhases {
    pub(crate) fn of(plan: &PlannedMigration) -> Self {
        let archive = plan.close_books.as_ref().map(|books| &books.archive);
        Self {
            analyses: plan.fingerprint != Identity.fingerprint() || plan.reverses.is_some(),
            backs_up: plan.backup.is_some(),
            archives: archive.is_some_and(Option::is_some),
        }
    }
}

/// The state of a run, as input of the estimate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Time since the start of the work, without pauses.
    pub(crate) working: Duration,
    /// The part of it in which an object or a backup was under way.
    pub(crate) active: Duration,
    /// Objects under way.
    pub(crate) under_way: u64,
    pub(crate) small: SmallWork,
    pub(crate) work: PhasesWork,
    pub(crate) totals: Totals,
    pub(crate) phases: OptionalPhases,
    /// Events that this run analysed, copied and compared: one counts for each.
    pub(crate) events_read: u64,
    /// The most events read in a second.
    pub(crate) limit: Option<u64>,
}

/// What is known of the rest of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// The part that is done, from 0 to 1.
    pub(crate) done: f64,
    /// The time left.
    pub(crate) left: Duration,
}

/// Time per unit in relation to the other phases, until a phase was measured.
///
/// How long copying takes in relation to reading depends on the disk. On a local one it was between
/// 0.9 and 3 times as long as verifying what is not transformed; these values are between the two.
fn assumed_cost(phase: Phase, phases: OptionalPhases) -> f64 {
    match phase {
        Phase::BackUp | Phase::Archive if phases.analyses => 0.2,
        Phase::Copy if phases.analyses => 1.0,
        Phase::Verify if phases.analyses => 0.9,
        Phase::BackUp | Phase::Archive | Phase::Copy => 0.7,
        Phase::Verify => 0.42,
        Phase::Analyse => 1.0,
    }
}

/// Estimates the rest of a run; `None` before anything was measured.
pub(crate) fn estimate(sample: &Sample) -> Option<Estimate> {
    let unit = assumed_unit(sample)?;
    let (mut done, mut left) = (0.0, 0.0);
    for phase in Phase::ALL {
        let its = &sample.work[phase as usize];
        let cost = its
            .cost
            .unwrap_or_else(|| unit * assumed_cost(phase, sample.phases));
        let total = expected(sample, phase).max(its.done as f64);
        done += cost * its.done as f64;
        left += cost * (total - its.done as f64);
    }
    let (small, scale) = (sample.small, scale(&sample.totals));
    let cost = small.cost().unwrap_or_else(|| SmallCost::assumed(unit));
    let totals = &sample.totals;
    let events = scale * totals.events.saturating_sub(totals.large_events) as f64;
    let objects = scale * totals.small as f64;
    done += small.took;
    left += cost.object * (objects - small.objects).max(0.0);
    left += cost.event * (events - small.events).max(0.0);
    let begun = begun(sample).min(left);
    let (done, left) = (done + begun, left - begun);
    // the shares contain neither what happens between objects nor between the phases of one
    let accounted = took(sample) + begun;
    let between = (sample.working.as_secs_f64() / accounted).max(1.0);
    let measured = between * left;
    let seconds = match at_the_limit(sample) {
        Some(limit) if limit.binds => limit.seconds,
        Some(limit) => limit.seconds.max(measured),
        None => measured,
    };
    Some(Estimate {
        done: done / (done + left),
        left: Duration::try_from_secs_f64(seconds).ok()?,
    })
}

/// The time already spent on small objects that are not done yet: what is not accounted for, and at
/// most what objects of the mean size take.
fn begun(sample: &Sample) -> f64 {
    let small = sample.small;
    if small.objects < 1.0 {
        return 0.0;
    }
    let mean = small.took / small.objects;
    let unaccounted = sample.active.as_secs_f64() - took(sample);
    unaccounted.clamp(0.0, mean * sample.under_way as f64)
}

/// A part of the limit from which it alone decides how long the run takes.
const BINDING: f64 = 0.8;

/// The time left at the limit of events in a second.
struct AtTheLimit {
    seconds: f64,
    /// Whether the run reads about as many events as it may.
    binds: bool,
}

fn at_the_limit(sample: &Sample) -> Option<AtTheLimit> {
    let limit = sample.limit.filter(|limit| *limit > 0)? as f64;
    let skipped: u64 = sample.work.iter().map(|phase| phase.skipped).sum();
    let read = sample.events_read + skipped;
    let copied_and_compared = 2.0 * scale(&sample.totals) * sample.totals.events as f64;
    let total = copied_and_compared + expected(sample, Phase::Analyse);
    Some(AtTheLimit {
        seconds: (total - read as f64).max(0.0) / limit,
        binds: sample.events_read as f64 > BINDING * limit * sample.working.as_secs_f64(),
    })
}

/// The shares of time of all work done, in seconds.
fn took(sample: &Sample) -> f64 {
    let phases = sample.work.iter().map(|phase| phase.took.as_secs_f64());
    sample.small.took + phases.sum::<f64>()
}

/// The time of an event of a phase of cost 1, by the phases measured.
fn assumed_unit(sample: &Sample) -> Option<f64> {
    let units = |phase: &Phase| {
        let its = &sample.work[*phase as usize];
        let units = its.took.as_secs_f64() / its.cost.filter(|cost| *cost > 0.0)?;
        Some(assumed_cost(*phase, sample.phases) * units)
    };
    let measured: f64 = Phase::ALL.iter().filter_map(units).sum();
    let all_phases: f64 = [Phase::Analyse, Phase::Copy, Phase::Verify]
        .map(|phase| assumed_cost(phase, sample.phases))
        .iter()
        .sum();
    let small = sample.small.cost().map_or(0.0, |cost| {
        sample.small.took / (cost.event.max(cost.object / 100.0)) * all_phases
    });
    let units = measured + small;
    (units > 0.0 && took(sample) > 0.0).then(|| took(sample) / units)
}

/// The units of a phase in the whole run. Objects that were not counted are expected to be like
/// those that were.
fn expected(sample: &Sample, phase: Phase) -> f64 {
    let totals = &sample.totals;
    let scale = scale(totals);
    let large = scale * totals.large_events as f64;
    let every = scale * totals.events as f64;
    let phases = sample.phases;
    match phase {
        Phase::Copy | Phase::Verify => large,
        Phase::Analyse if phases.analyses => {
            let begun = sample.work[Phase::Copy as usize].begun as f64;
            let analysed = sample.work[phase as usize].begun as f64;
            // an object of one page is not analysed
            let part = if begun > 0.0 { analysed / begun } else { 1.0 };
            analysed + (large - begun).max(0.0) * part
        }
        // written, and read back
        Phase::BackUp if phases.backs_up => 2.0 * every,
        Phase::Archive if phases.archives => 2.0 * every,
        Phase::Analyse | Phase::BackUp | Phase::Archive => 0.0,
    }
}

/// The objects of the scope for each that was counted.
fn scale(totals: &Totals) -> f64 {
    match totals.objects {
        Some(objects) if totals.counted > 0 => objects as f64 / totals.counted as f64,
        _ => 1.0,
    }
}
