//! The decorator of native stores.

use std::sync::Arc;

use async_trait::async_trait;
use esm_core::Result;
use esm_core::event::Event;
use esm_core::id::StreamId;
use esm_foreign::{Entry, NativeStore, Profile, Recorded, Slice, SliceLimit};

use super::{Call, Tap, tapped};

/// A native store whose calls go through a [`Tap`], below the
/// [`ForeignEventStore`](esm_foreign::ForeignEventStore) that is built on it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_foreign::{CloseProof, NativeStore as _, Profile};
/// use esm_core::id::StreamId;
/// use esm_testkit::memory::MemoryNativeStore;
/// use esm_testkit::record::Recorder;
/// use esm_testkit::tap::{OperationLog, TappedNativeStore};
///
/// let native = MemoryNativeStore::new(Profile::new(CloseProof::StoreRefuses));
/// let tap = Recorder::new("app", OperationLog::new());
/// let native = TappedNativeStore::new(Arc::new(native), tap.clone());
/// assert_eq!(native.last(&StreamId::new("orders")?).await?, None);
/// assert_eq!(tap.log().names()["native_store.last"], 1);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct TappedNativeStore<T> {
    inner: Arc<dyn NativeStore>,
    tap: T,
}

impl<T: Tap> TappedNativeStore<T> {
    /// Decorates this store with this tap.
    pub fn new(inner: Arc<dyn NativeStore>, tap: T) -> Self {
        Self { inner, tap }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Tap> NativeStore for TappedNativeStore<T> {
    fn profile(&self) -> Profile {
        self.inner.profile()
    }

    async fn read(&self, stream: &StreamId, from: u64, limit: SliceLimit) -> Result<Slice> {
        let call = Call::read("native_store.read", stream);
        tapped!(self.tap, call, self.inner.read(stream, from, limit))
    }

    async fn last(&self, stream: &StreamId) -> Result<Option<Recorded>> {
        let call = Call::read("native_store.last", stream);
        tapped!(self.tap, call, self.inner.last(stream))
    }

    async fn last_marked(&self, stream: &StreamId, before: u64) -> Result<Option<Recorded>> {
        let call = Call::read("native_store.last_marked", stream);
        tapped!(self.tap, call, self.inner.last_marked(stream, before))
    }

    async fn append(&self, stream: &StreamId, expected: u64, entries: Vec<Entry>) -> Result<()> {
        let call = Call::write("native_store.append", stream);
        tapped!(
            self.tap,
            call,
            self.inner.append(stream, expected, entries.clone())
        )
    }

    async fn close(&self, stream: &StreamId, expected: u64, entry: Entry) -> Result<()> {
        let call = Call::write("native_store.close", stream);
        tapped!(
            self.tap,
            call,
            self.inner.close(stream, expected, entry.clone())
        )
    }

    async fn append_as_old_writer(
        &self,
        stream: &StreamId,
        expected: Option<u64>,
        event: Event,
    ) -> Result<()> {
        let call = Call::write("native_store.append_as_old_writer", stream);
        tapped!(
            self.tap,
            call,
            self.inner
                .append_as_old_writer(stream, expected, event.clone())
        )
    }

    async fn delete(&self, stream: &StreamId) -> Result<()> {
        let call = Call::write("native_store.delete", stream);
        tapped!(self.tap, call, self.inner.delete(stream))
    }
}
