//! Checks the order of attempts, and the revisions that their writers got.

use super::attempt::{Dropped, Standing};

/// I3: an attempt that was acknowledged before another began precedes it. An ambiguous attempt
/// proves nothing: it may have taken effect at any later time.
pub(super) fn in_real_time(standing: &[Standing]) -> Result<(), String> {
    let mut latest: Option<&Standing> = None;
    for attempt in standing {
        if let (Some(before), Some(acknowledged)) = (latest, attempt.acknowledged)
            && acknowledged.moment < before.begun
        {
            return Err(format!(
                "events are out of order: {} was acknowledged before {} was begun, and follows it",
                attempt.id, before.id
            ));
        }
        if latest.is_none_or(|before| before.begun < attempt.begun) {
            latest = Some(attempt);
        }
    }
    Ok(())
}

/// A revision is the number of events before it in the stream that was appended to. The events
/// before it now were before it then, transformed or not. Dropped events may have been before it,
/// too.
pub(super) fn as_told(standing: &[Standing], dropped: &[Dropped]) -> Result<(), String> {
    let dropped = sums(dropped);
    let (mut least, mut most) = (0, 0);
    for attempt in standing {
        if let Some(acknowledged) = attempt.acknowledged
            && let Some(at) = acknowledged.at
        {
            let most = most + begun_before(&dropped, acknowledged.moment);
            if !(least..=most).contains(&at.0) {
                let id = &attempt.id;
                return Err(format!(
                    "{id} was acknowledged at revision {at}, with {least} to {most} events before it"
                ));
            }
        }
        least += attempt.sizes.0;
        most += attempt.sizes.1;
    }
    Ok(())
}

/// For each attempt whose events were dropped, in the order in which they began: when that was, and
/// how many events it and those before it can have had.
fn sums(dropped: &[Dropped]) -> Vec<(u64, u64)> {
    let add = |sum: &mut u64, gone: &Dropped| {
        *sum += gone.most;
        Some((gone.begun, *sum))
    };
    dropped.iter().scan(0, add).collect()
}

/// Returns how many events the attempts that began before this time can have had.
fn begun_before(sums: &[(u64, u64)], moment: u64) -> u64 {
    let count = sums.partition_point(|(begun, _)| *begun < moment);
    count.checked_sub(1).map_or(0, |last| sums[last].1)
}
