//! Decorators that notify a [`Tap`] of every call on every trait.
//!
//! One set of decorators serves both purposes: with a [`Recorder`](crate::record::Recorder) they
//! record the calls, with an [`Actor`](crate::faults::Actor) they also make calls fail.
//!
//! Your own tap sees every call and decides what its caller gets:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::sync::Arc;
//!
//! use esm_core::store::{RecordKey, Records};
//! use esm_core::{Error, ErrorKind, Result};
//! use esm_testkit::memory::MemoryRecords;
//! use esm_testkit::tap::{Call, Effect, Tap, TappedRecords};
//!
//! /// Refuses calls that may change the storage.
//! #[derive(Debug, Clone)]
//! struct ReadOnly;
//!
//! impl Tap for ReadOnly {
//!     type Started = ();
//!
//!     async fn begin(&self, call: Call) -> Result<()> {
//!         match call.effect {
//!             Effect::Read => Ok(()),
//!             Effect::Write => Err(Error::new(ErrorKind::PermissionDenied, call.name)),
//!         }
//!     }
//!
//!     fn twice(&self, _started: &()) -> bool {
//!         false
//!     }
//!
//!     async fn end<T: Send>(&self, _started: (), result: Result<T>) -> Result<T> {
//!         result
//!     }
//! }
//!
//! let records = TappedRecords::new(Arc::new(MemoryRecords::new()), ReadOnly);
//! assert_eq!(records.latest(&RecordKey::Index).await?, None);
//! assert!(records.put(&RecordKey::Index, 0, "{}".into()).await.is_err());
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```

mod backup;
mod event_store;
mod lock;
mod log;
mod native_store;
mod records;

use std::fmt::Debug;

use esm_core::{Error, Result};
use futures::future::ready;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

pub use backup::TappedBackups;
pub use event_store::TappedEventStore;
pub use lock::TappedLocks;
pub use log::{Counts, Operation, OperationLog, Outcome};
pub use native_store::TappedNativeStore;
pub use records::TappedRecords;

/// Whether a call can change the storage.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::Effect;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// assert!(records.latest(&RecordKey::Index).await.is_err());
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// let effects: Vec<_> = plan.log().operations().into_iter().map(|o| o.call.effect).collect();
/// assert_eq!(effects, [Effect::Read, Effect::Write]);
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It may change something.
    Write,
}

/// A call on a trait, before it is made.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use esm_core::store::{RecordKey, Records};
/// use esm_testkit::faults::{At, Fault, FaultPlan};
/// use esm_testkit::memory::MemoryRecords;
/// use esm_testkit::tap::Call;
///
/// let plan = FaultPlan::new().with(At::Operation(0), Fault::FailBefore);
/// let records = plan.actor("app").records(Arc::new(MemoryRecords::new()));
/// assert!(records.latest(&RecordKey::Index).await.is_err());
/// records.put(&RecordKey::Index, 0, "{}".into()).await?;
/// let call: Call = plan.log().operations()[1].call.clone();
/// assert_eq!((call.name, call.key.as_str()), ("records.put", "Index #0"));
/// # Ok::<(), esm_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The trait and method: `event_store.append`.
    pub name: &'static str,
    /// The stream, record or lock of the call; for people.
    pub key: String,
    /// Whether it can change the storage.
    pub effect: Effect,
    /// Whether the call cannot be made twice, because it sends no request of its own or consumes
    /// its receiver.
    pub once: bool,
}

impl Call {
    pub(crate) fn read(name: &'static str, key: impl ToString) -> Self {
        Self {
            name,
            key: key.to_string(),
            effect: Effect::Read,
            once: false,
        }
    }

    pub(crate) fn write(name: &'static str, key: impl ToString) -> Self {
        Self {
            effect: Effect::Write,
            ..Self::read(name, key)
        }
    }

    pub(crate) fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

/// Gets notified of every call before and after it is made, and decides what the caller gets.
///
/// ```
/// use esm_core::Result;
/// use esm_testkit::tap::{Call, Tap};
///
/// /// Prints the calls.
/// #[derive(Debug, Clone)]
/// struct Printing;
///
/// impl Tap for Printing {
///     type Started = ();
///
///     async fn begin(&self, call: Call) -> Result<()> {
///         println!("{} {}", call.name, call.key);
///         Ok(())
///     }
///
///     fn twice(&self, _started: &()) -> bool {
///         false
///     }
///
///     async fn end<T: Send>(&self, _started: (), result: Result<T>) -> Result<T> {
///         result
///     }
/// }
/// ```
pub trait Tap: Debug + Clone + Send + Sync + 'static {
    /// What the tap keeps of a call between its beginning and its end.
    type Started: Send + Sync;

    /// Runs before the call. Where it fails, the caller gets this error and the call is not made.
    fn begin(&self, call: Call) -> impl Future<Output = Result<Self::Started>> + Send;

    /// Returns whether the call is to be made twice. The caller gets the first result. It does not
    /// apply to calls that cannot be made twice.
    fn twice(&self, started: &Self::Started) -> bool;

    /// Runs after the call, and returns what the caller gets.
    fn end<T: Send>(
        &self,
        started: Self::Started,
        result: Result<T>,
    ) -> impl Future<Output = Result<T>> + Send;
}

/// Makes a call through a tap. The call is an expression, because some calls borrow mutably and
/// each attempt needs its own arguments.
macro_rules! tapped {
    ($tap:expr, $call:expr, $invoke:expr) => {{
        let started = $crate::tap::Tap::begin(&$tap, $call).await?;
        let result = $invoke.await;
        if $crate::tap::Tap::twice(&$tap, &started) {
            // the result of the duplicate is lost
            drop($invoke.await);
        }
        $crate::tap::Tap::end(&$tap, started, result).await
    }};
}

/// As [`tapped!`], for calls that cannot be made twice.
macro_rules! tapped_once {
    ($tap:expr, $call:expr, $invoke:expr) => {{
        let started = $crate::tap::Tap::begin(&$tap, $call.once()).await?;
        let result = $invoke.await;
        $crate::tap::Tap::end(&$tap, started, result).await
    }};
}

pub(crate) use {tapped, tapped_once};

/// A listing through a tap: one call, begun when it is first polled and ended after its last item.
fn tapped_stream<'a, T: Tap, I: Send + 'a>(
    tap: &'a T,
    call: Call,
    list: impl FnOnce() -> BoxStream<'a, Result<I>> + Send + 'a,
) -> BoxStream<'a, Result<I>> {
    stream::once(async move {
        let started = tap.begin(call.once()).await?;
        let end = stream::once(async move { tap.end(started, Ok(())).await });
        let error_at_end = end.filter_map(|result| ready(result.err().map(Err)));
        Ok::<_, Error>(list().chain(error_at_end))
    })
    .try_flatten()
    .boxed()
}
