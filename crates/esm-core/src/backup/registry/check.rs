//! Whether backups are sound.

use futures::{StreamExt as _, TryStreamExt as _};

use crate::backup::registry::filter::BackupFilter;
use crate::backup::service::BackupService;
use crate::error::{Error, ErrorKind, Result};
use crate::id::BackupId;
use crate::store::{BackupKind, BackupManifest};

/// Of which backups the events are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReadData {
    /// Of none: manifests, the presence and the sizes of all files, and the lists of sections are
    /// checked.
    #[default]
    None,
    /// Of all.
    All,
    /// Of one of so many parts of them. Whoever checks each part in turn has read all.
    Part {
        /// Which, from 0.
        part: u32,
        /// How many there are; at least 1.
        of: u32,
    },
}

impl ReadData {
    /// Whether the events of a backup are read: by its id, so that a backup stays in its part.
    fn includes(self, id: &BackupId) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Part { part, of } => {
                let hash = blake3::hash(id.as_str().as_bytes());
                let [a, b, c, d, ..] = *hash.as_bytes();
                u32::from_le_bytes([a, b, c, d]) % of.max(1) == part
            }
        }
    }
}

/// A backup that is not sound.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackupDamage {
    /// The backup; absent where its manifest cannot be read.
    pub id: Option<BackupId>,
    /// What is damaged, with the name of the file.
    pub error: Error,
}

/// What a check has found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CheckedBackups {
    /// Number of backups and archives that were checked.
    pub backups: u64,
    /// Of how many the events were read.
    pub data_read: u64,
    /// How many are damaged.
    pub damaged: u64,
    /// The newest backup, not archive, that is not damaged.
    pub newest: Option<BackupManifest>,
}

impl BackupService {
    /// Checks the backups and archives that are meant, one after the other: manifests, files and lists
    /// of sections, and the events of those that `data` names. Continues after a damaged one, which
    /// `found` gets. Uses constant memory.
    ///
    /// # Errors
    /// `Invalid` for a part that does not exist; `Cancelled`; those of the provider, except for damage.
    pub async fn check_all(
        &self,
        filter: BackupFilter,
        data: ReadData,
        mut found: impl FnMut(BackupDamage) + Send,
    ) -> Result<CheckedBackups> {
        if let ReadData::Part { part, of } = data
            && part >= of
        {
            return Err(Error::invalid(format!("there is no part {part} of {of}")));
        }
        let mut checked = CheckedBackups::default();
        let mut all = self.find(filter);
        while let Some(manifest) = all.next().await {
            self.refuse_cancelled()?;
            checked.backups += 1;
            let (id, sound) = match manifest {
                Ok(manifest) => (
                    Some(manifest.id.clone()),
                    self.check_one(manifest, data).await,
                ),
                Err(error) => (None, Err(error)),
            };
            match sound {
                Ok(Sound {
                    manifest,
                    data_read,
                }) => {
                    checked.data_read += u64::from(data_read);
                    checked.keep_newest(manifest);
                }
                Err(error) if error.is_damage() => {
                    checked.damaged += 1;
                    found(BackupDamage { id, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(checked)
    }

    async fn check_one(&self, manifest: BackupManifest, data: ReadData) -> Result<Sound> {
        let data_read = data.includes(&manifest.id);
        let read = if data_read {
            self.verify(&manifest.id).await.map(drop)
        } else {
            self.check_structure(&manifest.id).await
        };
        match read {
            // its manifest was there
            Err(error) if *error.kind() == ErrorKind::NotFound => Ok(Sound {
                manifest: None,
                data_read: false,
            }),
            read => read.map(|()| Sound {
                manifest: Some(manifest),
                data_read,
            }),
        }
    }

    /// Checks that all files are there, of their sizes, and the list of sections.
    async fn check_structure(&self, id: &BackupId) -> Result<()> {
        self.provider.open(id).await?;
        let mut sections = self.provider.sections(id);
        while sections.try_next().await?.is_some() {
            self.refuse_cancelled()?;
        }
        Ok(())
    }
}

/// A backup that is sound; without a manifest one that was deleted meanwhile.
struct Sound {
    manifest: Option<BackupManifest>,
    data_read: bool,
}

impl CheckedBackups {
    fn keep_newest(&mut self, manifest: Option<BackupManifest>) {
        let Some(manifest) = manifest.filter(|m| m.kind == BackupKind::Backup) else {
            return;
        };
        let is_newer = |known: &BackupManifest| manifest.created_at > known.created_at;
        if self.newest.as_ref().is_none_or(is_newer) {
            self.newest = Some(manifest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_backup_is_in_exactly_one_part() {
        for number in 0..50 {
            let id = BackupId::new(format!("backup-{number}")).unwrap();
            let parts = (0..7).filter(|part| ReadData::Part { part: *part, of: 7 }.includes(&id));
            assert_eq!(parts.count(), 1, "{id}");
            assert!(ReadData::All.includes(&id) && !ReadData::None.includes(&id));
        }
    }
}
