//! An own lock provider: locks as rows of a database.
//!
//! All that it asks of the database is one statement of the kind
//! `UPDATE locks SET … WHERE name = ? AND version = ?`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use esm_core::clock::{Clock, SystemClock};
use esm_core::id::{FencingToken, LockName};
use esm_core::migration::MigrationService;
use esm_core::store::{LockAttempt, LockGrant, LockInfo, LockProvider, LockRequest};
use esm_core::{Error, ErrorKind, Result};
use esm_library_examples::Shop;

/// The newest acquisition of a lock. A row is never deleted, so that tokens grow over releases.
#[derive(Debug, Clone)]
struct Row {
    /// Grows with every change of the row.
    version: u64,
    info: LockInfo,
    expires_at: Duration,
}

/// In place of a database.
#[derive(Debug, Default)]
struct Table(Mutex<BTreeMap<LockName, Row>>);

impl Table {
    fn select(&self, name: &LockName) -> Option<Row> {
        self.rows().get(name).cloned()
    }

    fn select_all(&self) -> Vec<Row> {
        self.rows().values().cloned().collect()
    }

    /// Writes a row if it still has the version that it is based on; returns whether it did.
    fn update(&self, based_on: Option<&Row>, row: Row) -> bool {
        let mut rows = self.rows();
        let version = |row: &Row| row.version;
        let unchanged = rows.get(&row.info.name).map(version) == based_on.map(version);
        if unchanged {
            rows.insert(row.info.name.clone(), row);
        }
        unchanged
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<LockName, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks in a database. The lease runs on the database's clock, which is everybody's.
#[derive(Debug)]
struct RowLocks {
    table: Table,
    clock: Arc<dyn Clock>,
}

impl RowLocks {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Table::default(),
            clock,
        }
    }

    /// What an observer sees of a row now.
    fn observed(&self, row: &Row) -> LockInfo {
        let left = row.expires_at.saturating_sub(self.clock.monotonic());
        let held = row.info.held && !left.is_zero();
        LockInfo {
            held,
            expires_in: if held { left } else { Duration::ZERO },
            ..row.info.clone()
        }
    }

    /// The row, if it is this grant's: nobody acquired the lock since, and nobody broke it.
    fn granted(&self, grant: &LockGrant) -> Option<Row> {
        let row = self.table.select(&grant.name)?;
        (row.info.held && row.info.token == grant.token).then_some(row)
    }
}

#[async_trait]
impl LockProvider for RowLocks {
    fn name(&self) -> &str {
        "rows"
    }

    async fn try_acquire(&self, name: &LockName, request: &LockRequest) -> Result<LockAttempt> {
        loop {
            let row = self.table.select(name);
            let newest = row.as_ref().map(|row| self.observed(row));
            if let Some(info) = newest.filter(|info| info.held) {
                return Ok(LockAttempt::Held(info));
            }
            let token = FencingToken(row.as_ref().map_or(1, |row| row.info.token.0 + 1));
            let info = LockInfo::granted(name, token, request);
            let taken = Row {
                version: row.as_ref().map_or(0, |row| row.version + 1),
                info,
                expires_at: self.clock.monotonic() + request.lease,
            };
            // a concurrent update won: read again
            if self.table.update(row.as_ref(), taken) {
                return Ok(LockAttempt::Acquired(LockGrant {
                    name: name.clone(),
                    holder: request.holder.clone(),
                    token,
                    lease: request.lease,
                    data: Bytes::new(),
                }));
            }
        }
    }

    async fn renew(&self, grant: &LockGrant) -> Result<()> {
        while let Some(row) = self.granted(grant) {
            let renewed = Row {
                version: row.version + 1,
                expires_at: self.clock.monotonic() + grant.lease,
                ..row.clone()
            };
            if self.table.update(Some(&row), renewed) {
                return Ok(());
            }
        }
        let message = format!("another holds the lock, or it was broken: {}", grant.name);
        Err(Error::new(ErrorKind::LockLost, message))
    }

    async fn release(&self, grant: &LockGrant) -> Result<()> {
        while let Some(row) = self.granted(grant) {
            let mut released = row.clone();
            released.version += 1;
            released.info.held = false;
            if self.table.update(Some(&row), released) {
                break;
            }
        }
        Ok(())
    }

    async fn inspect(&self, name: &LockName) -> Result<Option<LockInfo>> {
        Ok(self.table.select(name).map(|row| self.observed(&row)))
    }

    async fn list(&self) -> Result<Vec<LockInfo>> {
        let rows = self.table.select_all();
        let all = rows.iter().map(|row| self.observed(row));
        Ok(all.filter(|info| info.held).collect())
    }

    async fn break_lock(&self, name: &LockName, token: FencingToken) -> Result<()> {
        loop {
            let row = self.table.select(name);
            let Some(row) = row.filter(|row| self.observed(row).held) else {
                return Err(Error::not_found(format!("lock is free: {name}")));
            };
            if row.info.token != token {
                let message = format!("lock is held with another token: {}", row.info.token.0);
                return Err(Error::new(ErrorKind::Conflict { actual: None }, message));
            }
            let mut broken = row.clone();
            broken.version += 1;
            broken.info.held = false;
            if self.table.update(Some(&row), broken) {
                return Ok(());
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let order = shop.place_order(1003, "Zoë").await?;
    let locks = Arc::new(RowLocks::new(Arc::new(SystemClock::new())));
    let service = MigrationService::new(
        shop.store.event_store(),
        shop.store.records(),
        Arc::clone(&locks) as Arc<dyn LockProvider>,
    );

    let result = service.migrate(order).execute().await?;
    assert!(result.is_success(), "{:?}", result.error);

    for row in locks.table.select_all() {
        println!(
            "{}: token {}, held: {}",
            row.info.name, row.info.token.0, row.info.held
        );
        assert!(!row.info.held);
    }
    assert_eq!(locks.table.select_all().len(), 1);
    Ok(())
}
