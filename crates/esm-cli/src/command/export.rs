//! `esm export`

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use esm_core::event::Revision;
use esm_core::{Error, ErrorKind, Result};
use esm_format::ndjson::{LineWriter, Packing};
use futures::TryStreamExt as _;
use serde::Serialize;

use crate::events::{OpenedObject, line, open_all};
use crate::exit::{self, Exit};
use crate::output::counted;
use crate::progress::{Progress, Unit};
use crate::selection::Selection;
use crate::session::Session;

/// Export events as NDJSON of CloudEvents.
///
/// Exports the active stream of each object, sorted by object name; `sequence` is the revision of an
/// event in that stream. Writes nothing to the store.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm export order/123
  esm export --all --to orders.ndjson.zst --compress zstd
  esm export --name order | jq -r .type | sort | uniq -c
  esm export --all --order global            # tables of another library

With --all, the names are sorted in memory, about 40 bytes per object.
With --unsorted, objects are exported in listing order, in constant memory.")]
pub(crate) struct Export {
    #[command(flatten)]
    selection: Selection,
    /// File to write, which must not exist; defaults to standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long, requires = "to")]
    overwrite: bool,
    /// Compression; defaults to that of the file name (.zst, .gz).
    #[arg(long, value_name = "FORMAT")]
    compress: Option<Compress>,
    /// Export objects in listing order.
    #[arg(long)]
    unsorted: bool,
    /// Order of the events.
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Order::Objects)]
    #[arg(conflicts_with = "unsorted")]
    order: Order,
}

/// Order of exported events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Object by object.
    Objects,
    /// The order in which all events were written, from one state of the database. Only for tables
    /// of another library that keep such an order.
    Global,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compress {
    None,
    Gzip,
    Zstd,
}

#[derive(Debug, Default, Serialize)]
struct Exported {
    objects: u64,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl Export {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        if self.selection.is_all() {
            session.ensure_complete().await?;
        }
        let progress = session.progress("export", Unit::Events, None);
        let done = match &self.to {
            None => {
                let writer = LineWriter::new(session.output().stdout(), self.packing());
                self.write(session, writer, &progress).await?
            }
            Some(path) => self.write_file(session, path, &progress).await?,
        };
        progress.end();
        if self.to.is_some() {
            session.output().result(&done, |done, _| text(done))?;
        } else {
            tracing::info!(objects = done.objects, events = done.events, "exported");
        }
        Ok(Exit::Success)
    }

    fn packing(&self) -> Packing {
        match (self.compress, &self.to) {
            (Some(Compress::None), _) | (None, None) => Packing::Plain,
            (Some(Compress::Gzip), _) => Packing::Gzip,
            (Some(Compress::Zstd), _) => Packing::Zstd,
            (None, Some(path)) => Packing::of_name(path),
        }
    }

    async fn write_file(
        &self,
        session: &Session,
        path: &Path,
        progress: &Progress,
    ) -> Result<Exported> {
        if !self.overwrite && tokio::fs::try_exists(path).await.unwrap_or(false) {
            let message = format!("file already exists: {}", path.display());
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_hint("choose another file, or add --overwrite"));
        }
        // an incomplete export must not look like a complete one
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let failed = |e| exit::io(format_args!("writing {}", path.display()), e);
        let file = tokio::fs::File::create(&partial).await.map_err(failed)?;
        let keep = file.try_clone().await.map_err(failed)?;
        let writer = LineWriter::new(file, self.packing());
        let written = self.write(session, writer, progress).await;
        let kept = match written {
            Ok(done) => keep
                .sync_all()
                .await
                .and(tokio::fs::rename(&partial, path).await)
                .map_err(failed)
                .map(|()| done),
            Err(error) => Err(error),
        };
        if kept.is_err() {
            // a file that cannot be removed is recognizable by its name
            let _ = tokio::fs::remove_file(&partial).await;
        }
        Ok(Exported {
            file: Some(path.to_owned()),
            ..kept?
        })
    }

    async fn write(
        &self,
        session: &Session,
        mut writer: LineWriter,
        progress: &Progress,
    ) -> Result<Exported> {
        if self.order == Order::Global {
            return self.write_in_global_order(session, writer, progress).await;
        }
        let mut done = Exported::default();
        let objects = if self.unsorted {
            self.selection.listed(session).await?
        } else {
            self.selection.sorted(session).await?
        };
        let mut opened = open_all(session, objects);
        let mut buffer = Vec::new();
        while let Some(OpenedObject { object, mut events }) = opened.try_next().await? {
            let mut revision = Revision::START;
            while let Some(recorded) = events.try_next().await? {
                session.interrupt().check()?;
                let line = line(&object, revision, &recorded.event, &mut buffer);
                writer.write(line).await?;
                revision = revision.plus(1);
                progress.at(done.events + revision.0);
            }
            done.events += revision.0;
            done.objects += 1;
        }
        drop(opened);
        writer.finish().await?;
        Ok(done)
    }
}

impl Export {
    async fn write_in_global_order(
        &self,
        session: &Session,
        mut writer: LineWriter,
        progress: &Progress,
    ) -> Result<Exported> {
        let mut done = Exported::default();
        let mut events = session.in_global_order().await?;
        let mut buffer = Vec::new();
        while let Some(next) = events.try_next().await? {
            session.interrupt().check()?;
            if !self.selection.includes(&next.object) {
                continue;
            }
            let line = line(&next.object, next.revision, &next.event, &mut buffer);
            writer.write(line).await?;
            done.events += 1;
            done.objects += u64::from(next.revision == Revision::START);
            progress.at(done.events);
        }
        writer.finish().await?;
        Ok(done)
    }
}

fn text(done: &Exported) -> String {
    format!(
        "exported {} of {} to {}",
        counted(done.events, "event"),
        counted(done.objects, "object"),
        done.file.as_deref().unwrap_or(Path::new("-")).display()
    )
}
