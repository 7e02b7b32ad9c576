//! What an append expects and what comes of it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::event::Position;
use crate::id::{CommitId, ObjectId, StreamRef};
use crate::router::route::retired::Image;
use crate::store::{CellEvent, Tail};

/// What an append expects of the object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExpectedRevision {
    /// Nothing: append after whatever is there. An object that does not exist is created.
    Any,
    /// That the object does not exist. It is created.
    NoStream,
    /// That its events end at exactly this position. A position at the end of a stream that was
    /// closed since means the place where its continuation began ([R8](crate::protocol#r8)).
    At(Position),
}

/// Events that were appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The stream that holds them.
    pub stream: StreamRef,
    /// The place before the first of them.
    pub first: Position,
    /// The place after the last of them: what the next append expects. The same as
    /// [`first`](Self::first) where the registered transformation dropped all of them
    /// ([R11](crate::protocol#r11)), and not the number of given events further where it dropped or
    /// split some.
    pub next: Position,
}

/// An append whose outcome is unknown: it may have happened, or may still happen.
///
/// It holds the sent events. Give it to
/// [`ObjectClient::settle`](crate::router::ObjectClient::settle), which reads it back and, where it
/// did not happen, appends again; so no event is appended twice, also over a migration
/// ([R10](crate::protocol#r10)). Appending the events again without it may do that. It does not
/// outlive the process.
#[derive(Debug, Clone)]
pub struct AmbiguousAppend {
    pub(in crate::router) cell: SentCell,
    pub(in crate::router) attempt: Attempt,
}

impl AmbiguousAppend {
    /// The object.
    pub fn object(&self) -> &ObjectId {
        &self.attempt.object
    }

    /// The stream that it was sent to.
    pub fn stream(&self) -> &StreamRef {
        &self.cell.stream
    }

    /// The number of the cell that it becomes.
    pub fn seq(&self) -> u64 {
        self.cell.tail.next_seq()
    }

    /// Its commit id.
    pub fn commit(&self) -> CommitId {
        self.cell.commit
    }
}

/// What is to be appended, through all tries.
#[derive(Debug, Clone)]
pub(in crate::router) struct Attempt {
    pub(in crate::router) object: ObjectId,
    /// Where the events must end; absent for [`ExpectedRevision::Any`].
    pub(in crate::router) expected: Option<Position>,
    /// The object was created for it: if a concurrent append wins, the object exists already.
    pub(in crate::router) creates: bool,
    /// As the application gave them.
    pub(in crate::router) events: Arc<[CellEvent]>,
}

/// One try: this cell of this stream.
#[derive(Debug, Clone)]
pub(in crate::router) struct SentCell {
    pub(in crate::router) stream: StreamRef,
    pub(in crate::router) tail: Tail,
    pub(in crate::router) commit: CommitId,
    /// What it holds: the events of the attempt, or what a transformation made of them
    /// ([R11](crate::protocol#r11)).
    pub(in crate::router) image: Image,
}

impl Attempt {
    /// The answer when the events end elsewhere.
    pub(in crate::router) fn conflict(&self, actual: &Position) -> Error {
        if self.creates {
            return exists(&self.object);
        }
        let kind = ErrorKind::Conflict {
            actual: Some(actual.revision.0),
        };
        let message = match &self.expected {
            Some(expected) => format!("object has moved on: expected {expected}, found {actual}"),
            None => format!("concurrent appends won every time: found {actual}"),
        };
        Error::new(kind, message).with_hint("load the object and decide anew")
    }
}

pub(in crate::router) fn exists(object: &ObjectId) -> Error {
    let message = format!("object exists already: {object}");
    Error::new(ErrorKind::AlreadyExists, message).with_hint("load it and append at its position")
}

/// Why an append failed; with [`token`](Self::token), it may have happened all the same.
#[derive(Debug)]
pub struct AppendError {
    error: Error,
    pending: Option<Box<AmbiguousAppend>>,
}

impl AppendError {
    pub(in crate::router) fn ambiguous(token: AmbiguousAppend, cause: Error) -> Self {
        let message = format!(
            "append has an unknown outcome: cell {} of {}",
            token.seq(),
            token.stream()
        );
        let error = Error::new(ErrorKind::Ambiguous, message)
            .with_source(cause)
            .with_hint("settle it with its token before appending again");
        Self {
            error,
            pending: Some(Box::new(token)),
        }
    }

    /// What went wrong. `Ambiguous` exactly where there is a token.
    pub fn kind(&self) -> &ErrorKind {
        self.error.kind()
    }

    /// The error without the token.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// What settles an append that may have happened.
    pub fn token(&self) -> Option<&AmbiguousAppend> {
        self.pending.as_deref()
    }

    /// What settles an append that may have happened.
    pub fn into_token(self) -> Option<AmbiguousAppend> {
        self.pending.map(|token| *token)
    }
}

impl From<Error> for AppendError {
    fn from(error: Error) -> Self {
        Self {
            error,
            pending: None,
        }
    }
}

/// Loses the token: for who does not append again.
impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        error.error
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for AppendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}
