//! Whether attempts stand in the order, and at the revisions, that their writers were told.

use super::attempt::{Dropped, Standing};

/// I3: who was acknowledged before another began stands before it. Of an ambiguous one nothing
/// follows: it may have come to stand there at any later moment.
pub(super) fn in_real_time(standing: &[Standing]) -> Result<(), String> {
    let mut latest: Option<&Standing> = None;
    for attempt in standing {
        if let (Some(before), Some(acknowledged)) = (latest, attempt.acknowledged)
            && acknowledged.moment < before.begun
        {
            return Err(format!(
                "events are out of order: {} was acknowledged before {} was begun, and stands after it",
                attempt.id, before.id
            ));
        }
        if latest.is_none_or(|before| before.begun < attempt.begun) {
            latest = Some(attempt);
        }
    }
    Ok(())
}

/// A revision is the number of events before it in the stream that was appended to. What stands
/// before it now stood before it then, transformed or not; and what was dropped may have.
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

/// For each attempt whose events were dropped, in the order in which they were begun: when that
/// was, and how many events it and those before it can have been.
fn sums(dropped: &[Dropped]) -> Vec<(u64, u64)> {
    let add = |sum: &mut u64, gone: &Dropped| {
        *sum += gone.most;
        Some((gone.begun, *sum))
    };
    dropped.iter().scan(0, add).collect()
}

/// How many events those that were begun before this moment can have been.
fn begun_before(sums: &[(u64, u64)], moment: u64) -> u64 {
    let count = sums.partition_point(|(begun, _)| *begun < moment);
    count.checked_sub(1).map_or(0, |last| sums[last].1)
}
