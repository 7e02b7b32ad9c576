//! Options of backups and archives.

use std::sync::Arc;

use esm_core::backup::BackupOptions;
use esm_core::migration::BookClosingOptions;
use esm_core::migration::MigrationBuilder;
use esm_core::store::{BackupProvider, Compression};
use esm_core::{Error, Result};

use crate::args::{self, Pair, Span};
use crate::migration::Places;
use crate::opened;
use crate::session::{Access, Session};

/// How a backup is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BackupContent {
    /// User metadata, as key=value. Repeatable.
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    tags: Vec<Pair>,
    /// zstd compression level.
    #[arg(long, value_name = "1-19", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
}

impl BackupContent {
    /// The options of a backup with this content.
    pub(crate) fn options(&self) -> BackupOptions {
        let level = self.level;
        let options = BackupOptions::new().compression(Compression::Zstd { level });
        let tags = args::map(&self.tags).into_iter();
        tags.fold(options, |options, (key, value)| options.tag(key, value))
    }
}

/// The backup and the archive of a migration.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Backup and archive")]
pub(crate) struct BackupArgs {
    /// Back up first, to this URL (as for --store; may be the same).
    #[arg(long, env = "ESM_BACKUP", value_name = "URL")]
    backup: Option<String>,
    /// Do not back up, even if ESM_BACKUP is set.
    #[arg(long, conflicts_with_all = ["backup_keep", "tags"])]
    no_backup: bool,
    /// Retention: how long pruning must not delete the backup. Defaults to unlimited.
    #[arg(long, value_name = "DURATION")]
    backup_keep: Option<Span>,
    #[command(flatten)]
    content: BackupContent,
    /// After the cutover, archive the closed stream and record the archive in the document.
    #[arg(long)]
    close_books: bool,
    /// URL for the archive; defaults to the URL of the backup, else to the store.
    #[arg(long, value_name = "URL", requires = "close_books")]
    archive: Option<String>,
    /// Close the books without an archive.
    #[arg(long, requires = "close_books", conflicts_with = "archive")]
    no_archive: bool,
    /// User metadata of the closed stream, as key=value. Repeatable.
    #[arg(long = "note", value_name = "KEY=VALUE", requires = "close_books")]
    notes: Vec<Pair>,
}

impl BackupArgs {
    /// Applies the options. Stores for backups are opened only if `access` allows to create them.
    ///
    /// # Errors
    /// `Invalid` for a retention without a backup; those of opening a store.
    pub(super) async fn apply(
        &self,
        mut builder: MigrationBuilder,
        session: &Session,
        access: Access,
    ) -> Result<MigrationBuilder> {
        let backup = self.backup.as_ref().filter(|_| !self.no_backup);
        let backup = address(backup, session, "backups")?;
        if let Some(url) = &backup {
            let mut options = self.options(Some(url), session, access).await?;
            if let Some(keep) = self.backup_keep {
                options = options.retention(keep.0);
            }
            builder = Places::backup(builder.backup(options), url);
        } else if self.backup_keep.is_some() {
            return Err(Error::invalid("--backup-keep without a backup")
                .with_hint("name the store of the backup with --backup URL"));
        }
        if self.close_books {
            let archive = address(self.archive.as_ref(), session, "archives")?.or(backup);
            builder = self
                .close_books(builder, archive.as_ref(), session, access)
                .await?;
        }
        Ok(builder)
    }

    async fn close_books(
        &self,
        mut builder: MigrationBuilder,
        url: Option<&String>,
        session: &Session,
        access: Access,
    ) -> Result<MigrationBuilder> {
        let notes = args::map(&self.notes).into_iter();
        let books = BookClosingOptions::new();
        let books = notes.fold(books, |books, (key, value)| books.metadata(key, value));
        if self.no_archive {
            return Ok(builder.close_books(books));
        }
        let options = self.options(url, session, access).await?;
        builder = builder.close_books(books.archive(options));
        Ok(match url {
            Some(url) => Places::archive(builder, url),
            None => builder,
        })
    }

    async fn options(
        &self,
        url: Option<&String>,
        session: &Session,
        access: Access,
    ) -> Result<BackupOptions> {
        let options = self.content.options().include_document();
        let provider = provider(url, session, access).await?;
        Ok(match provider {
            Some(provider) => options.provider(provider),
            None => options,
        })
    }
}

/// The address of a store in a form to keep: a process that resumes may have another working
/// directory.
///
/// # Errors
/// `Invalid` for a malformed address, and for one with credentials, which would be kept.
fn address(url: Option<&String>, session: &Session, of: &str) -> Result<Option<String>> {
    let absolute = url.map(|url| opened::absolute(session.address(url)));
    let absolute = absolute.transpose();
    absolute.map_err(|e| e.context(format!("cannot use the store of {of}")))
}

/// A plan must not create a store for backups, and needs none.
async fn provider(
    url: Option<&String>,
    session: &Session,
    access: Access,
) -> Result<Option<Arc<dyn BackupProvider>>> {
    match url {
        Some(url) if access == Access::Create => {
            Ok(Some(session.backups_at(Some(url), access).await?))
        }
        _ => Ok(None),
    }
}
