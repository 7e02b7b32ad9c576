//! Objects of numbered events, and their backups.

use esm_core::backup::BackupOptions;
use esm_core::id::{BackupId, ObjectId, StreamId};
use esm_core::migration::Scope;
use esm_core::store::CellHeader;

use crate::world::{World, event};

impl World {
    /// Creates an object with this many events, in cells of three.
    pub(crate) async fn numbered(&self, id: &str, count: usize) -> ObjectId {
        let events = (0..count).map(|i| event(format!("{id}/{i}"))).collect();
        self.object_of(id, events, 3).await
    }

    /// An application appends an event of a retired schema, which the store refuses.
    pub(crate) async fn append_refused(&self, object: &ObjectId, id: &str) {
        let appended = self.storage.append(object, vec![event(id)]);
        let error = appended.await.unwrap_err();
        assert!(error.to_string().contains("retired"), "{error}");
    }

    /// Backs up these objects, with their documents.
    pub(crate) async fn back_up(&self, objects: &[&ObjectId]) -> BackupId {
        let scope = Scope::Objects(objects.iter().map(|o| (*o).clone()).collect());
        let options = BackupOptions::new().include_document();
        self.backups().create(&scope, options).await.unwrap().id
    }

    pub(crate) fn headers(&self, stream: &StreamId) -> Vec<CellHeader> {
        let cells = self.storage.event_store.snapshot(stream);
        cells.into_iter().map(|cell| cell.header).collect()
    }
}
