//! What the storage holds: records, backups, and what the inventory lists beside them.

use std::sync::Arc;

use futures::StreamExt as _;

use crate::backup::BackupService;
use crate::doctor::finding::{Finding, FindingKind, Remedy, Subject};
use crate::doctor::look::work::NEXT_PHASES;
use crate::doctor::service::{Depth, Doctor};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{BackupId, ObjectId, StreamId, StreamRef};
use crate::protocol::phase::MigrationPhase;
use crate::protocol::routing::RoutingEntry;
use crate::store::{
    BackupManifest, BackupProvider, EventStoreExt as _, Numbers, ReadFrom, RecordKey, decode,
};

/// Versions of a record of which those that cannot be read are named.
const NAMED: usize = 3;

/// Examines a record.
///
/// # Errors
/// Those of the records, except for damage.
pub(in crate::doctor) async fn record(
    doctor: &Doctor,
    key: &RecordKey,
    versions: Option<Numbers>,
    place: &str,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let subject = || Subject::Record(key.to_string());
    // documents and journals are examined with their objects and migrations
    let is_examined = matches!(key, RecordKey::Document(_) | RecordKey::Journal(_));
    let mut newest = None;
    match doctor.records.latest(key).await {
        Ok(record) => {
            newest = record.as_ref().map(|record| record.number);
            if let (RecordKey::Routing(object), Some(record)) = (key, record) {
                match decode(key, &record) {
                    Ok(entry) => findings.extend(phase(doctor, object, &entry).await?),
                    Err(error) => {
                        let kind = FindingKind::DamagedRecord;
                        findings.push(Finding::new(kind, subject(), error, Remedy::PutBack));
                    }
                }
            }
        }
        Err(error) if error.is_damage() => {
            if is_examined {
                return Ok(findings);
            }
            let kind = FindingKind::DamagedRecord;
            findings.push(Finding::new(kind, subject(), error, Remedy::PutBack));
        }
        Err(error) => return Err(error),
    }
    let Some(versions) = versions else {
        return Ok(findings);
    };
    if versions.has_gap() || versions.last > newest && newest.is_some() {
        // a version may have been written while the others were listed
        let found = missing(doctor, key, versions).await?;
        if let Some(missing) = found {
            let detail = format!("version {missing} is missing, later ones are there: {place}");
            let kind = FindingKind::MissingVersions;
            findings.push(Finding::new(kind, subject(), detail, Remedy::PutBack));
        }
    }
    let is_read = matches!(key, RecordKey::Journal(_));
    if doctor.depth == Depth::Deep && findings.is_empty() && !is_read {
        findings.extend(all_versions(doctor, key, versions, newest).await?);
    }
    Ok(findings)
}

/// The first version that is missing below the last one.
async fn missing(doctor: &Doctor, key: &RecordKey, versions: Numbers) -> Result<Option<u64>> {
    for number in 0..versions.expected() {
        match doctor.records.get(key, number).await {
            Ok(None) => return Ok(Some(number)),
            Err(error) if !error.is_damage() => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

/// Reads all versions but the newest, which was read.
async fn all_versions(
    doctor: &Doctor,
    key: &RecordKey,
    versions: Numbers,
    newest: Option<u64>,
) -> Result<Option<Finding>> {
    let mut damaged: Vec<String> = Vec::new();
    let mut more = 0_u64;
    for number in (0..versions.expected()).filter(|number| Some(*number) != newest) {
        doctor.refuse_cancelled()?;
        match doctor.records.get(key, number).await {
            Err(error) if error.is_damage() && damaged.len() < NAMED => {
                damaged.push(error.to_string());
            }
            Err(error) if error.is_damage() => more += 1,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    if damaged.is_empty() {
        return Ok(None);
    }
    if more > 0 {
        damaged.push(format!("and {more} more"));
    }
    let (kind, subject) = match key {
        RecordKey::Document(object) => {
            (FindingKind::DamagedVersion, Subject::Object(object.clone()))
        }
        _ => (FindingKind::DamagedRecord, Subject::Record(key.to_string())),
    };
    Ok(Some(Finding::new(
        kind,
        subject,
        damaged.join("; "),
        Remedy::PutBack,
    )))
}

/// A published phase that is neither the first nor the last, of a migration that has ended.
async fn phase(
    doctor: &Doctor,
    object: &ObjectId,
    entry: &RoutingEntry,
) -> Result<Option<Finding>> {
    let is_over = matches!(
        entry.phase,
        MigrationPhase::Normal | MigrationPhase::BookClosed
    );
    if is_over || !doctor.has_ended(entry.migration).await? {
        return Ok(None);
    }
    let detail = format!(
        "phase {} of migration {}, which has ended",
        entry.phase, entry.migration
    );
    let kind = FindingKind::PhaseLeftover;
    let subject = Subject::Object(object.clone());
    Ok(Some(Finding::new(kind, subject, detail, NEXT_PHASES)))
}

/// Compares the cells that the inventory lists with those that a stream was found to have. Numbers that
/// were listed while the stream grew are looked up.
///
/// # Errors
/// Those of the store, except for damage.
pub(in crate::doctor) async fn gap(
    doctor: &Doctor,
    stream: &StreamId,
    cells: Numbers,
    place: &str,
) -> Result<Option<Finding>> {
    let home = doctor.stores.home();
    let stream = StreamRef::new(home.id(), stream.clone());
    let finding = |detail: String| Some(Finding::damaged_stream(&stream, detail));
    let Some(last) = cells.last else {
        return Ok(None);
    };
    let end = match home.tail(&stream.stream).await {
        Ok(tail) => tail,
        // the object that names it reports this too
        Err(error) if error.is_damage() => return Ok(finding(error.to_string())),
        Err(error) => return Err(error),
    };
    if end.next_seq() > last && !cells.has_gap() {
        return Ok(None);
    }
    if end.next_seq() <= last {
        let behind = home.read(
            &stream.stream,
            ReadFrom::Seq(last),
            crate::store::PageLimit::default(),
        );
        let is_there = match behind.await {
            Ok(page) => !page.cells.is_empty(),
            Err(error) if error.is_damage() => true,
            Err(error) => return Err(error),
        };
        let what = if end.close().is_some() {
            "closed"
        } else {
            "ended"
        };
        let cells = end.next_seq();
        let detail = format!(
            "cell {last} is there, although the stream {what} after {cells} cells: {place}"
        );
        return Ok(finding(detail).filter(|_| is_there));
    }
    for seq in 0..=last {
        match home.cell(&stream.stream, seq).await {
            Ok(None) => {
                return Ok(finding(format!(
                    "cell {seq} is absent, later ones are there: {place}"
                )));
            }
            Err(error) if !error.is_damage() => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

/// Examines all backups, and returns how many there are.
///
/// # Errors
/// Those of the provider, except for damage.
pub(in crate::doctor) async fn backups(
    doctor: &Doctor,
    provider: &Arc<dyn BackupProvider>,
    mut found: impl FnMut(Finding),
) -> Result<u64> {
    let mut all = 0;
    let mut listed = provider.list();
    while let Some(manifest) = listed.next().await {
        doctor.refuse_cancelled()?;
        all += 1;
        match manifest {
            Ok(manifest) => backup(doctor, provider, &manifest)
                .await?
                .into_iter()
                .for_each(&mut found),
            Err(error) if error.is_damage() => found(manifest_damage(&error)),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn manifest_damage(error: &Error) -> Finding {
    let subject = Subject::Place(error.to_string());
    Finding::new(FindingKind::DamagedBackup, subject, error, Remedy::PutBack)
}

async fn backup(
    doctor: &Doctor,
    provider: &Arc<dyn BackupProvider>,
    manifest: &BackupManifest,
) -> Result<Option<Finding>> {
    let id = &manifest.id;
    let finding = |kind, detail: &dyn std::fmt::Display, remedy| {
        Some(Finding::new(
            kind,
            Subject::Backup(id.clone()),
            detail,
            remedy,
        ))
    };
    let has_files = match provider.has_files(id).await {
        Ok(has_files) => has_files,
        // it was deleted meanwhile
        Err(error) if *error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.is_damage() => true,
        Err(error) => return Err(error),
    };
    if !has_files {
        let (kind, detail) = (FindingKind::BackupWithoutFiles, "its files are gone");
        return Ok(finding(kind, &detail, Remedy::PruneBackups));
    }
    let read = match doctor.depth {
        Depth::Deep => verify(doctor, provider, id).await,
        Depth::Quick | Depth::Normal => provider.open(id).await.map(drop),
    };
    match read {
        Ok(()) => Ok(None),
        Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.is_damage() => {
            let remedy = Remedy::DeleteBackup(id.clone());
            Ok(finding(FindingKind::DamagedBackup, &error, remedy))
        }
        Err(error) => Err(error),
    }
}

async fn verify(doctor: &Doctor, provider: &Arc<dyn BackupProvider>, id: &BackupId) -> Result<()> {
    let (stores, records) = (doctor.stores.clone(), Arc::clone(&doctor.records));
    let service = BackupService::new(stores, records, Arc::clone(provider));
    let service = service.with_environment(doctor.environment.clone());
    service
        .cancel_on(doctor.cancel())
        .verify(id)
        .await
        .map(drop)
}

/// Files of a backup without a manifest.
///
/// # Errors
/// Those of the provider.
pub(in crate::doctor) async fn unfinished_backup(
    provider: &Arc<dyn BackupProvider>,
    id: &BackupId,
    place: &str,
) -> Result<Option<Finding>> {
    match provider.manifest(id).await {
        Err(error) if *error.kind() == ErrorKind::NotFound => {}
        Err(error) if !error.is_damage() => return Err(error),
        // it was finished meanwhile, or is found to be damaged
        _ => return Ok(None),
    }
    let (kind, subject) = (FindingKind::UnfinishedBackup, Subject::Backup(id.clone()));
    let detail = format!("files without a manifest: {place}");
    let remedy = Remedy::DeleteBackup(id.clone());
    Ok(Some(Finding::new(kind, subject, detail, remedy)))
}
