//! `esm export`

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use esm_core::{Error, ErrorKind, Result};
use esm_format::ndjson::{LineWriter, Packing};
use futures::TryStreamExt as _;
use serde::Serialize;

use crate::exit::{self, Exit};
use crate::output::count;
use crate::progress::{Progress, Unit};
use crate::selection::Selection;
use crate::session::Session;
use crate::stream::{self, OpenedObject, line};

/// Write objects' events as NDJSON of CloudEvents.
///
/// One object after another, in the order of their names, each from its active stream; `sequence`
/// is the revision there. Never writes to the store.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm export order/123
  esm export --all --to orders.ndjson.zst --compress zstd
  esm export --name order | jq -r .type | sort | uniq -c

With --all the names are sorted in memory, about 40 bytes an object; --unsorted takes them as the
store lists them, in constant memory.")]
pub(crate) struct Export {
    #[command(flatten)]
    selection: Selection,
    /// The file to write, which must not exist; standard output if it is left out.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, requires = "to")]
    overwrite: bool,
    /// How to compress; by the file's name if it is left out (.zst, .gz).
    #[arg(long, value_name = "FORMAT")]
    compress: Option<Compress>,
    /// Do not sort the objects.
    #[arg(long)]
    unsorted: bool,
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
        let progress = session.progress("export", Unit::Events, None);
        let done = match &self.to {
            None => {
                let writer = LineWriter::new(tokio::io::stdout(), self.packing());
                self.write(session, writer, &progress).await?
            }
            Some(path) => self.write_file(session, path, &progress).await?,
        };
        progress.end();
        if self.to.is_some() {
            session.output().result(&done, |done, _| told(done))?;
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
            let message = format!("file exists already: {}", path.display());
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_hint("name another, or add --overwrite"));
        }
        // an export that is cut short must not look like a whole one
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
            // what cannot be removed is told by its name
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
        let mut done = Exported::default();
        let objects = match self.unsorted {
            true => self.selection.listed(session),
            false => self.selection.sorted(session).await?,
        };
        let mut opened = stream::open_all(session, objects);
        let mut buffer = Vec::new();
        while let Some(OpenedObject {
            object, mut events, ..
        }) = opened.try_next().await?
        {
            while let Some(page) = events.next_page().await? {
                session.interrupt().check()?;
                for event in &page {
                    writer.write(line(&object, event, &mut buffer)).await?;
                }
                done.events += page.len() as u64;
                progress.at(done.events);
            }
            done.objects += 1;
        }
        drop(opened);
        writer.finish().await?;
        Ok(done)
    }
}

fn told(done: &Exported) -> String {
    format!(
        "exported {} events of {} objects to {}",
        count(done.events),
        count(done.objects),
        done.file.as_deref().unwrap_or(Path::new("-")).display()
    )
}
