//! The events of objects in order, as commands print them.

use std::pin::Pin;

use esm_core::Result;
use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::router::{ReadPosition, RecordedEvent};
use esm_format::cloudevent::{self, Attributes};
use futures::stream::{BoxStream, Peekable};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::session::Session;

/// Events of an object; the first page may have been read already.
pub(crate) type Events = Pin<Box<Peekable<BoxStream<'static, Result<RecordedEvent>>>>>;

/// An object whose events are about to be read.
pub(crate) struct OpenedObject {
    pub(crate) object: ObjectId,
    pub(crate) events: Events,
}

/// Objects whose first page is read ahead.
const AHEAD: usize = 8;

/// Reads the active streams of many objects from the start, in the given order. The first pages of
/// a few objects are read concurrently.
pub(crate) fn open_all<'a>(
    session: &'a Session,
    objects: BoxStream<'a, Result<ObjectId>>,
) -> BoxStream<'a, Result<OpenedObject>> {
    objects
        .map_ok(move |object| async move { Ok(open(session, object).await) })
        .try_buffered(AHEAD)
        .boxed()
}

async fn open(session: &Session, object: ObjectId) -> OpenedObject {
    let events = session.reader().read(&object, ReadPosition::Start);
    let mut events = Box::pin(events.peekable());
    // an error stays in the stream, for the caller
    events.as_mut().peek().await;
    OpenedObject { object, events }
}

/// An event as a line of CloudEvents JSON, without the line end.
///
/// The revision is given, and not taken from the event's position: a stream that is closed while it
/// is read continues in its target at another revision, but the lines of an object are numbered
/// without a gap.
pub(crate) fn line<'a>(
    object: &ObjectId,
    revision: Revision,
    event: &Event,
    buffer: &'a mut Vec<u8>,
) -> &'a [u8] {
    buffer.clear();
    cloudevent::encode(event, &Attributes::of(object, revision), buffer);
    buffer
}
