//! Documents from the streams.

use futures::TryStreamExt as _;

use crate::doctor::Subject;
use crate::error::{ErrorKind, Result};
use crate::id::{ObjectId, StreamId, StreamRef};
use crate::object::{ObjectDocument, chain};
use crate::repair::service::{Mended, Repair, unexpected};
use crate::store::{Close, EventStoreExt as _};

impl Repair {
    /// Lets a document follow the Closes of its streams ([R12](crate::protocol#r12)).
    pub(super) async fn correct_document(&self, subject: &Subject) -> Result<Mended> {
        let Subject::Object(object) = subject else {
            return Err(unexpected("an object"));
        };
        self.unless_locked(object, self.help(object)).await
    }

    async fn help(&self, object: &ObjectId) -> Result<Mended> {
        let document = self.documents.load(object).await?.document;
        let end = chain::follow_in(&self.stores, &document).await?;
        chain::refuse_deleted(object, &end)?;
        if end.closes.is_empty() {
            return Ok(Mended::nothing("the document names the active stream"));
        }
        let what = format!(
            "the document is to name {} instead of {}, which was closed to it",
            end.stream.stream, document.active.stream
        );
        if let Some(plan) = self.only_plan(&what) {
            return Ok(plan);
        }
        let (document, _) = chain::help(&self.stores, &self.documents, object).await?;
        let active = document.active.stream;
        Ok(Mended::done(format!("the document names {active} now")))
    }

    /// Writes the document of an object again, whose first stream is there. Never replaces one.
    pub(super) async fn rebuild_document(&self, subject: &Subject) -> Result<Mended> {
        let Subject::StreamOf { object, stream } = subject else {
            return Ok(Mended::left("nothing says of which object the stream is"));
        };
        self.unless_locked(object, self.rebuild(object, stream))
            .await
    }

    async fn rebuild(&self, object: &ObjectId, stream: &StreamRef) -> Result<Mended> {
        let home = self.stores.home();
        if stream.stream != StreamId::first(object) || self.stores.of(stream)?.id() != home.id() {
            return Ok(Mended::left("it is not the object's first stream"));
        }
        if self.documents.find(object).await?.is_some() {
            return Ok(Mended::nothing("the object has a document"));
        }
        if self.has_later_versions(object).await? {
            let why = "later versions of the document are there: put the first one back";
            return Ok(Mended::left(why));
        }
        let now = self.environment.clock.now();
        let mut document = ObjectDocument::new(object.clone(), stream.clone(), now);
        let end = chain::follow_in(&self.stores, &document).await?;
        if end.closes.is_empty() && end.tail.is_empty() {
            return Ok(Mended::nothing("the stream is gone"));
        }
        chain::refuse_deleted(object, &end)?;
        if let Some((_, close)) = end.closes.first()
            && self.is_restored(close).await?
        {
            let why = "a restore made the object: repeat it, and it writes the document with what the \
                       backup has of it";
            return Ok(Mended::left(why));
        }
        chain::follow_all(&mut document, &end);
        document.rebuilt_at = Some(now);
        let active = document.active.stream.clone();
        let what = format!("write the document again, from the streams; it names {active}");
        if let Some(plan) = self.only_plan(&what) {
            return Ok(plan);
        }
        match self.documents.create(&document).await {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => {
                return Ok(Mended::nothing("the object has a document"));
            }
            Err(error) => return Err(error),
        }
        // a stream may have been closed since it was read
        chain::help(&self.stores, &self.documents, object).await?;
        let done = format!("wrote the document again, from the streams; it names {active}");
        Ok(Mended::done(done))
    }

    /// Whether a restore closed the first stream. It writes the document after that, with the user's
    /// fields, which a document that is there by then would keep out.
    async fn is_restored(&self, close: &Close) -> Result<bool> {
        let Some(target) = &close.target else {
            return Ok(false);
        };
        let origin = self.stores.of(target)?.origin(&target.stream).await?;
        Ok(origin.is_some_and(|origin| origin.restored_from().is_some()))
    }

    /// Whether the records list the object although its document is not found: versions without the
    /// first one, which a new first version would hide or bring back.
    async fn has_later_versions(&self, object: &ObjectId) -> Result<bool> {
        let mut objects = self.documents.objects(Some(object.name().clone()));
        while let Some(found) = objects.try_next().await? {
            if found == *object {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
