//! Removing what a paused process wrote to a target after that was removed.

use crate::doctor::Subject;
use crate::error::Result;
use crate::id::StreamRef;
use crate::object::{ObjectDocument, chain};
use crate::repair::proof::{Word, document_without, word};
use crate::repair::service::{Mended, Repair};

/// Why a stream without its first cell is left alone: nothing says what it is.
const ABSENT: &str =
    "it has no first cell, and no Fence names it: it is gone, or nothing says whose it was";

impl Repair {
    /// Removes what is left of a target without its first cell: a copier that was paused wrote it
    /// after the target was removed ([R17](crate::protocol#r17)). The object's streams must fence it.
    pub(super) async fn remove_rest(&self, subject: &Subject) -> Result<Mended> {
        let Subject::StreamOf { object, stream } = subject else {
            return Ok(Mended::left(ABSENT));
        };
        self.unless_locked(object, async {
            let document = document_without(&self.documents, object, &stream.stream).await?;
            let document = match document {
                Ok(document) => document,
                Err(why) => return Ok(Mended::left(why)),
            };
            if !self.is_fenced(&document, stream).await? {
                return Ok(Mended::left(ABSENT));
            }
            let store = self.stores.of(stream)?;
            if !self.is_dry() && !store.capabilities().discard {
                return Ok(Mended::left("the store cannot remove a stream"));
            }
            if let Some(plan) = self.only_plan("remove what was copied to it after it was removed")
            {
                return Ok(plan);
            }
            self.refuse_cancelled()?;
            store.discard(&stream.stream).await?;
            Ok(Mended::done("nothing is left of it: a Fence names it"))
        })
        .await
    }

    /// Whether a stream of the object has a Fence of the target, and none was closed to it.
    async fn is_fenced(&self, document: &ObjectDocument, target: &StreamRef) -> Result<bool> {
        let end = chain::follow_in(&self.stores, document).await?;
        let closed = document.terminated.iter().map(|entry| &entry.stream);
        let followed = end.closes.iter().map(|(stream, _)| stream);
        let mut is_fenced = false;
        for stream in closed.chain(followed).chain([&end.stream]) {
            let Ok(source) = self.stores.of(stream) else {
                continue;
            };
            match word(source, stream, &target.stream).await?.0 {
                Word::ClosedToIt => return Ok(false),
                Word::Fenced => is_fenced = true,
                Word::Superseded | Word::Open => {}
            }
        }
        Ok(is_fenced)
    }
}
