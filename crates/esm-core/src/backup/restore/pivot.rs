//! The pivot of a restore: the Close of the stream whose place is taken.

use std::time::Duration;

use tracing::info;

use crate::backup::Monitor;
use crate::backup::restore::place::{Place, exists};
use crate::backup::restore::sink::undone;
use crate::clock::Environment;
use crate::cutover::attempt::Sight;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Revision;
use crate::id::StreamRef;
use crate::store::{CellHeader, Close};

/// Closes that writers may be faster than, or whose fate is unknown, before it is given up.
const TRIES: u32 = 64;
const PAUSE: Duration = Duration::from_millis(5);

/// The one thing to do next about the cutover of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// Close S at the tail that was seen.
    Close,
    /// It is closed to T: there is only forward.
    Cut(Close),
    /// It was closed to another stream, or to nothing (R5).
    Superseded,
    /// T is fenced off (R17).
    Fenced,
    /// S was to be the beginning of a new object, and an application has begun it.
    Taken,
    /// What was seen of T does not fit what was seen of S: look again (R1).
    LookAgain,
}

/// Decides: pure. T must end as it was when it was compared with the backup.
fn next(sight: &Sight, target: &StreamRef, events: Revision, creates: bool) -> Next {
    if let Some(close) = sight.source_tail.close() {
        return match close.target.as_ref() == Some(target) {
            true => Next::Cut(close.clone()),
            false => Next::Superseded,
        };
    }
    if sight.fenced {
        return Next::Fenced;
    }
    if creates && sight.source_tail.next_revision() > Revision::START {
        return Next::Taken;
    }
    let cursor = sight.target_tail.last.as_ref().and_then(CellHeader::cursor);
    match sight.target_tail.next_revision() == events && cursor == Some(events) {
        true => Next::Close,
        false => Next::LookAgain,
    }
}

/// Closes S to T at exactly the tail that was seen, again whenever a writer was faster (R6), after
/// looking at all its control cells (R4). Its success proves that all acknowledged events of S stand
/// before the Close.
///
/// # Errors
/// `AlreadyExists` when an application has begun the new object meanwhile; `Fenced` when the restore was undone by another run, or another migration or restore was faster;
/// `Stuck` when writers were faster every time. S is untouched then. Those of the store, after which
/// the Close may have happened: do the same again.
pub(super) async fn cut_over(
    place: &Place,
    environment: &Environment,
    events: Revision,
    monitor: &dyn Monitor,
) -> Result<Close> {
    let target = &place.attempt.target;
    let mut last = None;
    for round in 0..TRIES {
        monitor.check()?;
        if round > 0 {
            let pause = environment.jittered(PAUSE * (1 << round.min(6)));
            environment.clock.sleep(pause).await;
        }
        let sight = match place.attempt.look().await {
            Ok(sight) => sight,
            Err(error) if error.is_retryable() => {
                last = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        match next(&sight, target, events, place.creates) {
            Next::Cut(close) => return Ok(close),
            Next::Superseded => return Err(superseded(place, &sight)),
            Next::Fenced => return Err(undone(target)),
            Next::Taken => return Err(exists(&place.attempt.object)),
            Next::LookAgain => {}
            Next::Close => match close(place, environment, &sight, events).await {
                Ok(close) => return Ok(close),
                Err(error) if looks_again(&error) => last = Some(error),
                Err(error) => return Err(error),
            },
        }
    }
    Err(given_up(place, last))
}

async fn close(
    place: &Place,
    environment: &Environment,
    sight: &Sight,
    events: Revision,
) -> Result<Close> {
    let (source, target) = (&place.attempt.source, &place.attempt.target);
    let close = Close {
        target: Some(target.clone()),
        events: sight.source_tail.next_revision(),
        target_events: events,
        migration: place.restore,
        // R19: a position in S means nothing in T
        continues: false,
    };
    let (tail, commit) = (&sight.source_tail, environment.commit_id());
    place
        .store
        .close(&source.stream, tail, commit, close.clone())
        .await?;
    info!(object = %place.attempt.object, %target, "source closed to the restored stream");
    Ok(close)
}

fn looks_again(error: &Error) -> bool {
    error.is_retryable() || matches!(error.kind(), ErrorKind::Closed(_))
}

fn superseded(place: &Place, sight: &Sight) -> Error {
    let winner = sight
        .source_tail
        .close()
        .map(|close| close.migration.to_string());
    let message = format!(
        "another migration or restore has moved {} first: {}",
        place.attempt.object,
        winner.unwrap_or_default()
    );
    Error::new(ErrorKind::Fenced, message)
        .with_hint("restore again, in the place of the new stream")
}

/// Writers that were faster every time leave a source untouched that is to be fenced; anything else
/// may have happened, and is settled by doing the same again.
fn given_up(place: &Place, last: Option<Error>) -> Error {
    match last {
        Some(error) if !matches!(error.kind(), ErrorKind::Conflict { .. }) => {
            error.context(format!("closing {}", place.attempt.source))
        }
        _ => {
            let source = &place.attempt.source;
            let message = format!("writers were faster than {TRIES} attempts to close {source}");
            Error::new(ErrorKind::Stuck, message)
                .with_hint("the stream is untouched; restore again when there is less traffic")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CommitId, MigrationId, StoreId, StreamId};
    use crate::store::{CellKind, Tail};

    fn stream(name: &str) -> StreamRef {
        let store = StoreId::from_uuid(uuid::Uuid::from_u128(1));
        StreamRef::new(store, StreamId::new(name).unwrap())
    }

    fn tail(events: u64, kind: CellKind) -> Tail {
        let commit = CommitId::from_uuid(uuid::Uuid::from_u128(2));
        Tail::after(Tail::default().next_header(commit, events, kind))
    }

    fn copied(events: u64, cursor: Option<u64>) -> Tail {
        let cursor = cursor.map(Revision);
        tail(
            events,
            CellKind::Data {
                origin: None,
                cursor,
            },
        )
    }

    fn closed(target: Option<StreamRef>) -> Tail {
        tail(
            0,
            CellKind::Close(Close {
                target,
                events: Revision::START,
                target_events: Revision(3),
                migration: MigrationId::from_uuid(uuid::Uuid::from_u128(3)),
                continues: false,
            }),
        )
    }

    fn seen(target_tail: Tail, source_tail: Tail, fenced: bool) -> Sight {
        Sight {
            target_tail,
            origin: None,
            source_tail,
            fenced,
        }
    }

    #[test]
    fn a_stream_is_closed_only_open_unfenced_and_to_a_target_as_it_was_compared() {
        // R4, R17, R1
        let t = stream("t");
        let decide = |sight: &Sight| next(sight, &t, Revision(3), false);
        let (whole, open) = (copied(3, Some(3)), copied(5, None));
        assert_eq!(
            decide(&seen(whole.clone(), open.clone(), false)),
            Next::Close
        );
        assert_eq!(
            decide(&seen(whole.clone(), Tail::default(), false)),
            Next::Close
        );
        assert_eq!(
            decide(&seen(whole.clone(), open.clone(), true)),
            Next::Fenced
        );
        for other in [
            copied(3, None),
            copied(4, Some(4)),
            copied(2, Some(2)),
            Tail::default(),
        ] {
            assert_eq!(decide(&seen(other, open.clone(), false)), Next::LookAgain);
        }
        let create = |sight: &Sight| next(sight, &t, Revision(3), true);
        assert_eq!(create(&seen(whole.clone(), open, false)), Next::Taken);
        assert_eq!(create(&seen(whole, Tail::default(), false)), Next::Close);
    }

    #[test]
    fn after_a_close_there_is_only_forward_whatever_else_was_seen() {
        let t = stream("t");
        for fenced in [false, true] {
            for target_tail in [copied(3, Some(3)), copied(9, None), Tail::default()] {
                let sight = |to| seen(target_tail.clone(), closed(to), fenced);
                let ours = next(&sight(Some(t.clone())), &t, Revision(3), false);
                assert!(matches!(ours, Next::Cut(_)), "{ours:?}");
                for elsewhere in [Some(stream("u")), None] {
                    let theirs = next(&sight(elsewhere), &t, Revision(3), false);
                    assert_eq!(theirs, Next::Superseded);
                }
            }
        }
    }
}
