//! A migrator whose lock is always granted: two of them at once show that safety rests on
//! conditional writes alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use esm_core::error::{ErrorKind, Result as EsmResult};
use esm_core::id::{FencingToken, LockName};
use esm_core::migration::CutoverOptions;
use esm_core::migration::{MigrationResult, MigrationService, OnFailure};
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_objectstore::OpenOptions;
use futures::TryStreamExt as _;

use crate::transformation;
use crate::world::Storage;

/// Which store.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The store's address
    #[arg(long)]
    store: String,
    /// Take part in the migrations that are on, instead of beginning one
    #[arg(long)]
    resume: bool,
}

/// Migrates all objects. Losing the race against the other migrator is no failure here.
pub(crate) async fn run(options: Options) -> Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let store = Storage::named(&options.store);
    let store = store.open(OpenOptions::new()).await?;
    let locks = Arc::new(GenerousLocks::default());
    let service = MigrationService::new(store.event_store(), store.records(), locks);
    if !options.resume {
        let migration = service
            .migrate_all()
            .transform(transformation::up()?)
            // where `esm` looks for the program when it resumes what this one began
            .annotate("esm.transform.name", transformation::NAME)
            .annotate("esm.transform.jq", transformation::program()?)
            // nothing notifies applications of a cutover, so a Close may lose many races
            .cutover(CutoverOptions::default().attempts(100_000))
            .on_failure(OnFailure::Continue);
        return settle(migration.execute().await);
    }
    let active: Vec<_> = service.active().try_collect().await?;
    for state in active {
        let migration = service
            .resume(state.migration)
            .transform(transformation::up()?);
        match migration.execute().await {
            // it has ended since it was found
            Err(error) if *error.kind() == ErrorKind::AlreadyExists => println!("{error:?}"),
            ended => settle(ended)?,
        }
    }
    Ok(())
}

fn settle(ended: EsmResult<MigrationResult>) -> Result<()> {
    println!("{ended:?}");
    let error = match &ended {
        Ok(result) => result.error.as_ref(),
        Err(error) => Some(error),
    };
    match error {
        Some(error) if *error.kind() != ErrorKind::Fenced => bail!("{error:?}"),
        _ => Ok(()),
    }
}

/// Grants every lock to everybody.
#[derive(Debug, Default)]
struct GenerousLocks {
    granted: AtomicU64,
}

#[async_trait]
impl LockProvider for GenerousLocks {
    fn name(&self) -> &str {
        "always granted"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> EsmResult<LockAttempt> {
        Ok(LockAttempt::Acquired(LockGrant {
            name: name.clone(),
            holder: request.holder.clone(),
            token: FencingToken(self.granted.fetch_add(1, Ordering::Relaxed) + 1),
            lease: request.lease,
            data: Bytes::new(),
        }))
    }

    async fn renew(&self, _grant: &LockGrant) -> EsmResult<()> {
        Ok(())
    }

    async fn release(&self, _grant: &LockGrant) -> EsmResult<()> {
        Ok(())
    }

    async fn inspect(&self, _name: &LockName) -> EsmResult<Option<LockInfo>> {
        Ok(None)
    }

    async fn list(&self) -> EsmResult<Vec<LockInfo>> {
        Ok(Vec::new())
    }

    async fn break_lock(&self, _name: &LockName, _token: FencingToken) -> EsmResult<()> {
        Ok(())
    }
}
