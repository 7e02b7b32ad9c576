//! Sending one cell until its fate is known (R10).

use std::time::Duration;

use crate::clock::Environment;
use crate::error::{Error, ErrorKind};
use crate::router::append::outcome::Attempt;
use crate::router::append::outcome::{AmbiguousAppend, AppendError, SentCell};
use crate::store::{Append, CellHeader, EventStore, EventStoreExt as _, Settled, Tail};

/// What became of a cell.
pub(in crate::router) enum Sent {
    /// It was written.
    Written(Box<Written>),
    /// It was not and never will be: the stream has moved on, or, as the store says, was closed.
    Moved { closed: bool },
}

/// A cell that was written.
pub(in crate::router) struct Written {
    pub(in crate::router) header: CellHeader,
    /// The tail with it; unknown where reading back found it out.
    pub(in crate::router) tail: Option<Tail>,
}

/// How often an unknown outcome is looked into before the caller gets a token.
const ROUNDS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// Sends a cell, and settles it where its outcome is unknown. `unknown` says that it is from the
/// beginning.
pub(in crate::router) async fn send(
    environment: &Environment,
    store: &dyn EventStore,
    attempt: &Attempt,
    cell: SentCell,
    mut unknown: bool,
) -> Result<Sent, AppendError> {
    let mut cause = None;
    for round in 0..ROUNDS {
        if round > 0 {
            let pause = environment.jittered(PAUSE * (1 << (round - 1)));
            environment.clock.sleep(pause).await;
        }
        if unknown {
            match settle(store, &cell).await {
                Ok(Some(sent)) => return Ok(sent),
                Ok(None) => {}
                Err(error) => {
                    cause = Some(error);
                    continue;
                }
            }
        }
        match put(store, &cell).await {
            Ok(sent) => return Ok(sent),
            // once the outcome is unknown, no answer to a repetition makes it known
            Err(error) if unknown || error.may_have_applied() => {
                unknown = true;
                cause = Some(error);
            }
            Err(error) => match error.kind() {
                ErrorKind::Conflict { .. } => return Ok(Sent::Moved { closed: false }),
                ErrorKind::Closed(_) => return Ok(Sent::Moved { closed: true }),
                _ => return Err(error.into()),
            },
        }
    }
    let cause = cause.unwrap_or_else(|| Error::new(ErrorKind::Ambiguous, "not settled"));
    let attempt = attempt.clone();
    Err(AppendError::ambiguous(
        AmbiguousAppend { cell, attempt },
        cause,
    ))
}

async fn put(store: &dyn EventStore, cell: &SentCell) -> crate::Result<Sent> {
    let append = Append::events(cell.commit, cell.image.events.to_vec());
    let count = append.events.len() as u64;
    let header = (cell.tail).next_header(cell.commit, count, append.kind());
    let tail = store
        .append(&cell.stream.stream, &cell.tail, append)
        .await?;
    Ok(Sent::Written(Box::new(Written {
        header,
        tail: Some(tail),
    })))
}

/// Reads back; nothing when no cell stands there, so that the same may be sent again.
async fn settle(store: &dyn EventStore, cell: &SentCell) -> crate::Result<Option<Sent>> {
    let seq = cell.tail.next_seq();
    let settled = store.settle(&cell.stream.stream, seq, cell.commit).await?;
    Ok(match settled {
        Settled::Mine(header) => Some(Sent::Written(Box::new(Written {
            header: *header,
            tail: None,
        }))),
        Settled::Lost => Some(Sent::Moved { closed: false }),
        Settled::Absent => None,
    })
}
