//! Sending one cell until its fate is known ([R10](crate::protocol#r10)).

use std::time::Duration;

use crate::backoff::BackOff;
use crate::clock::Environment;
use crate::error::ErrorKind;
use crate::router::append::outcome::Attempt;
use crate::router::append::outcome::{AmbiguousAppend, AppendError, SentCell};
use crate::store::{Append, CellHeader, Close, EventStore, EventStoreExt as _, Settled, Tail};

/// The outcome of sending a cell.
pub(in crate::router) enum Sent {
    /// It was written.
    Written(Box<Written>),
    /// It was not and never will be: the stream has moved on, or, as the store says, was closed.
    Moved { closed: Option<Box<Close>> },
}

/// A cell that was written.
pub(in crate::router) struct Written {
    pub(in crate::router) header: CellHeader,
    /// The tail with it; unknown where reading back found it out.
    pub(in crate::router) tail: Option<Tail>,
}

/// Attempts to settle an unknown outcome before the caller gets a token.
const SETTLE: BackOff = BackOff::new(6, Duration::from_millis(50), Duration::from_millis(800));

/// Sends a cell, and settles it where its outcome is unknown. `unknown` says that it is from the
/// beginning.
pub(in crate::router) async fn send(
    environment: &Environment,
    store: &dyn EventStore,
    attempt: &Attempt,
    cell: SentCell,
    mut unknown: bool,
) -> Result<Sent, AppendError> {
    let mut back_off = SETTLE;
    loop {
        let cause = match try_once(store, &cell, &mut unknown).await {
            Ok(sent) => return Ok(sent),
            Err(cause) if unknown => cause,
            Err(error) => return Err(error.into()),
        };
        if !back_off.pause(environment).await {
            let attempt = attempt.clone();
            let token = AmbiguousAppend { cell, attempt };
            return Err(AppendError::ambiguous(token, cause));
        }
    }
}

/// Reads back first where the outcome is unknown, and sends the cell unless it was written. Once
/// the outcome is unknown, no response to a repetition makes it known.
async fn try_once(
    store: &dyn EventStore,
    cell: &SentCell,
    unknown: &mut bool,
) -> crate::Result<Sent> {
    if *unknown && let Some(sent) = settle(store, cell).await? {
        return Ok(sent);
    }
    put(store, cell).await.or_else(|error| {
        *unknown |= error.may_have_applied();
        match error.kind() {
            ErrorKind::Conflict { .. } if !*unknown => Ok(Sent::Moved { closed: None }),
            ErrorKind::Closed(close) if !*unknown => Ok(Sent::Moved {
                closed: Some(close.clone()),
            }),
            _ => Err(error),
        }
    })
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

/// Reads back. Returns nothing when there is no cell, so that the same may be sent again.
async fn settle(store: &dyn EventStore, cell: &SentCell) -> crate::Result<Option<Sent>> {
    let seq = cell.tail.next_seq();
    let settled = store.settle(&cell.stream.stream, seq, cell.commit).await?;
    Ok(match settled {
        Settled::Mine(header) => Some(Sent::Written(Box::new(Written {
            header: *header,
            tail: None,
        }))),
        Settled::Lost => Some(Sent::Moved { closed: None }),
        Settled::Absent => None,
    })
}
