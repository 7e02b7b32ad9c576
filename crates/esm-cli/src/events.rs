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

/// The attribute that names the object of an event whose own `source` or `subject` does not.
pub(crate) const OBJECT: &str = "esmobject";

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
/// without a gap. An event with a `source` or `subject` of its own keeps it and names its object in
/// [`OBJECT`], so that the line can be imported into the same object.
pub(crate) fn line<'a>(
    object: &ObjectId,
    revision: Revision,
    event: &Event,
    buffer: &'a mut Vec<u8>,
) -> &'a [u8] {
    buffer.clear();
    let attributes = Attributes::of(object, revision);
    let own = |name| event.metadata.get(name).is_some();
    if own("source") || own("subject") {
        let mut named = event.clone();
        // a key of the right form is taken
        let _ = named.metadata.insert(OBJECT, object.to_string().as_str());
        cloudevent::encode(&named, &attributes, buffer);
    } else {
        cloudevent::encode(event, &attributes, buffer);
    }
    buffer
}
