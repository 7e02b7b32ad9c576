//! Backups that were damaged behind the provider's back.

use esm_core::ErrorKind;
use esm_core::id::BackupId;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{id, make, read, sections};
use crate::conformance::verdict::{ensure_eq, ensure_err};
use crate::conformance::{BackupHarness, Failure, Verdict};

/// A finished backup that could be read.
async fn finished(harness: &dyn BackupHarness) -> Result<BackupId, Failure> {
    let (provider, id) = (harness.open().await, id("spoiled")?);
    make(&*provider, &id, &sections()?).await?;
    read(&*provider, &id).await?;
    Ok(id)
}

async fn ensure_corrupt(harness: &dyn BackupHarness, id: &BackupId, what: &str) -> Verdict {
    let found = read(&*harness.open().await, id).await;
    let found = found.map(|sections| sections.len());
    ensure_err!(found, ErrorKind::Corrupt, "{what}");
    Ok(())
}

/// Guarantee 3: a changed byte is `Corrupt` at the latest at the end of reading.
pub async fn corruption_is_noticed(harness: &dyn BackupHarness) -> Verdict {
    let (id, what) = (finished(harness).await?, "a backup with a changed byte");
    if !harness.corrupt(&id).await {
        crate::not_tested(what, "the harness changes none");
        return Ok(());
    }
    ensure_corrupt(harness, &id, what).await
}

/// Guarantee 3: so is a missing end, wherever the rest ends.
pub async fn a_missing_end_is_noticed(harness: &dyn BackupHarness) -> Verdict {
    let (id, what) = (finished(harness).await?, "a backup without its end");
    if !harness.truncate(&id).await {
        crate::not_tested(what, "the harness cuts off none");
        return Ok(());
    }
    ensure_corrupt(harness, &id, what).await
}

/// Guarantee 3: so is a changed manifest. Pruning would otherwise delete what is to be kept. Others
/// are still listed, and the damaged one can be deleted.
pub async fn a_changed_retention_is_noticed(harness: &dyn BackupHarness) -> Verdict {
    let (id, what) = (finished(harness).await?, "a backup with another retention");
    if !harness.change_retention(&id).await {
        crate::not_tested(what, "the harness changes none");
        return Ok(());
    }
    // behind the damaged one in every order that a storage has
    let (provider, whole) = (harness.open().await, BackupId::new("whole")?);
    make(&*provider, &whole, &sections()?).await?;
    let found = provider.manifest(&id).await.map(|manifest| manifest.id);
    ensure_err!(found, ErrorKind::Corrupt, "manifest of {what}");
    ensure_corrupt(harness, &id, what).await?;
    let listed: Vec<_> = provider.list().map_ok(|found| found.id).collect().await;
    let (sound, damaged): (Vec<_>, Vec<_>) = listed.into_iter().partition(Result::is_ok);
    ensure_eq!(damaged.len(), 1, "errors in the list with {what}");
    for found in damaged {
        ensure_err!(found, ErrorKind::Corrupt, "list with {what}");
    }
    let sound = sound.into_iter().collect::<Result<Vec<_>, _>>()?;
    ensure_eq!(sound, [whole], "the list continues after {what}");
    provider.delete(&id).await?;
    let found = provider.manifest(&id).await.map(|manifest| manifest.id);
    ensure_err!(found, ErrorKind::NotFound, "deleted: {what}");
    Ok(())
}
