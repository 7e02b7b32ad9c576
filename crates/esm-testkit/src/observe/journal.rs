//! Journals: epochs never decrease, and nothing follows the terminal record.

use std::collections::BTreeMap;

use esm_core::store::{RecordCollection, RecordKey, Records};
use futures::TryStreamExt as _;
use serde_json::Value;

/// The part of each journal that was read.
#[derive(Debug, Default)]
pub(super) struct Journals(BTreeMap<RecordKey, State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    epoch: u64,
    finished: bool,
}

impl Journals {
    /// Reads and checks new records.
    ///
    /// # Errors
    /// The violation, for people.
    pub(super) async fn advance(&mut self, records: &dyn Records) -> Result<(), String> {
        let keys = records.list(RecordCollection::Journals);
        let keys: Vec<_> = keys.try_collect().await.map_err(|e| e.to_string())?;
        for key in keys {
            let state = self.0.entry(key.clone()).or_default();
            loop {
                let record = records.get(&key, state.next).await;
                let Some(record) = record.map_err(|e| e.to_string())? else {
                    break;
                };
                let body = serde_json::from_slice(&record.body);
                let body = body.map_err(|e| format!("{key:?} #{}: {e}", state.next))?;
                state
                    .apply(&body)
                    .map_err(|e| format!("{key:?} #{}: {e}", state.next))?;
                state.next += 1;
            }
        }
        Ok(())
    }
}

impl State {
    fn apply(&mut self, record: &Value) -> Result<(), String> {
        let epoch = record["epoch"]
            .as_u64()
            .ok_or("a record without an epoch")?;
        let claims = record["record"] == "claim";
        if self.finished {
            return Err("something follows the terminal record".to_owned());
        }
        if epoch != self.epoch + u64::from(claims) {
            let before = self.epoch;
            return Err(format!(
                "I6: epoch {epoch} follows {before}, claim: {claims}"
            ));
        }
        self.epoch = epoch;
        self.finished = record["record"] == "finished";
        Ok(())
    }
}
