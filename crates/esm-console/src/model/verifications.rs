//! Backups that are verified from the browser.
//!
//! Each verification reads a whole backup, so one runs at a time. It ends with the console, and only
//! the console knows its outcome: nothing is written.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use esm_core::backup::BackupService;
use esm_core::id::BackupId;
use esm_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use lru::LruCache;
use tokio_util::task::AbortOnDropHandle;

use crate::source::{Backups, Source};

/// Outcomes that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// A backup: the place of its store among the stores, its place there, and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BackupAt {
    pub(crate) store: usize,
    pub(crate) place: usize,
    pub(crate) id: BackupId,
}

/// How far the verification of a backup is, or what came of it.
#[derive(Debug, Clone)]
pub(crate) enum Verification {
    Running { events: u64, total: Option<u64> },
    Sound { at: Timestamp },
    Failed { error: Arc<Error>, at: Timestamp },
}

/// The verifications of this console.
pub(crate) struct Verifications {
    known: Arc<Known>,
    running: Mutex<Option<AbortOnDropHandle<()>>>,
}

struct Known(Mutex<LruCache<BackupAt, Verification>>);

impl fmt::Debug for Verifications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifications").finish_non_exhaustive()
    }
}

impl Verification {
    const BEGUN: Self = Self::Running {
        events: 0,
        total: None,
    };
}

impl Known {
    /// Notes how far a verification is, unless it has ended.
    fn advance(&self, backup: &BackupAt, events: u64, total: Option<u64>) {
        if let Some(running @ Verification::Running { .. }) = self.all().get_mut(backup) {
            *running = Verification::Running { events, total };
        }
    }

    fn set(&self, backup: BackupAt, verification: Verification) {
        self.all().put(backup, verification);
    }

    fn all(&self) -> MutexGuard<'_, LruCache<BackupAt, Verification>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verifications {
    pub(crate) fn new() -> Self {
        Self {
            known: Arc::new(Known(Mutex::new(LruCache::new(KEPT)))),
            running: Mutex::default(),
        }
    }

    /// What is known of a backup.
    pub(crate) fn of(&self, backup: &BackupAt) -> Option<Verification> {
        self.known.all().peek(backup).cloned()
    }

    /// Begins to verify a backup.
    ///
    /// # Errors
    /// `NotFound` for an unknown place; `AlreadyExists` while another is verified.
    pub(crate) fn begin(&self, source: &Source, backup: BackupAt) -> Result<()> {
        let place = source.backups().get(backup.place);
        let place = place.ok_or_else(|| Error::not_found("unknown place of backups"))?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|task| !task.is_finished()) {
            let error = Error::new(ErrorKind::AlreadyExists, "another backup is being verified");
            return Err(error.with_hint("wait until it is, or use `esm backup verify`"));
        }
        self.known.set(backup.clone(), Verification::BEGUN);
        let verifying = verify(Arc::clone(&self.known), source, place, backup);
        *running = Some(AbortOnDropHandle::new(tokio::spawn(verifying)));
        Ok(())
    }
}

/// Verifies a backup, and notes how far it is and what came of it.
fn verify(
    known: Arc<Known>,
    source: &Source,
    place: &Backups,
    backup: BackupAt,
) -> impl Future<Output = ()> + use<> {
    let (shown, of) = (Arc::clone(&known), backup.clone());
    let clock = Arc::clone(&source.environment().clock);
    let service = BackupService::new(
        source.stores().clone(),
        Arc::clone(source.records()),
        Arc::clone(&place.provider),
    )
    .with_environment(source.environment().clone())
    .with_progress(|options| {
        options.on_progress(move |progress| {
            shown.advance(&of, progress.events, progress.events_total);
        })
    });
    async move {
        let verified = service.verify(&backup.id).await;
        let at = clock.now();
        let ended = match verified {
            Ok(_) => Verification::Sound { at },
            Err(error) => Verification::Failed {
                error: Arc::new(error),
                at,
            },
        };
        known.set(backup, ended);
    }
}
