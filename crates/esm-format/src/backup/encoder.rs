//! Writing backups.

use std::fmt;

use async_compression::Level;
use async_compression::tokio::write::ZstdEncoder;
use async_compression::zstd::CParameter;
use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::store::{
    BackupChecksums, BackupDraft, BackupManifest, BackupSection, Compression, SectionSummary,
};
use esm_core::{Error, Result};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::section::SectionLine;
use crate::cloudevent::{self, Attributes};
use crate::metered::{Metered, io_error};

/// Lines are gathered up to this size before they are compressed.
const BUFFER: usize = 64 << 10;

/// Writes a backup into two writers, in constant memory: a buffer, the largest event, and what zstd
/// needs. It does to its writers what [`BackupWriter`](esm_core::store::BackupWriter) asks for.
///
/// After an error nothing more can be written: drop it.
pub struct BackupEncoder<E, S> {
    draft: BackupDraft,
    events: ZstdEncoder<Metered<E>>,
    sections: ZstdEncoder<Metered<S>>,
    buffer: Vec<u8>,
    open: Option<Open>,
    section_count: u64,
    event_count: u64,
    uncompressed_bytes: u64,
    first_object: Option<ObjectId>,
}

#[derive(Debug)]
struct Open {
    section: BackupSection,
    events: u64,
}

impl<E, S> BackupEncoder<E, S>
where
    E: AsyncWrite + Unpin + Send,
    S: AsyncWrite + Unpin + Send,
{
    /// Begins a backup: events go to `events`, sections to `sections`.
    ///
    /// # Errors
    /// `Invalid` for a compression level that zstd does not have.
    pub fn new(draft: BackupDraft, events: E, sections: S) -> Result<Self> {
        let level = level(draft.settings.compression)?;
        Ok(Self {
            draft,
            events: encoder(level, events),
            sections: encoder(level, sections),
            buffer: Vec::with_capacity(2 * BUFFER),
            open: None,
            section_count: 0,
            event_count: 0,
            uncompressed_bytes: 0,
            first_object: None,
        })
    }

    /// Begins a section; the one before must have ended.
    ///
    /// # Errors
    /// `Invalid` out of order.
    pub async fn section(&mut self, section: BackupSection) -> Result<()> {
        if let Some(open) = &self.open {
            return Err(out_of_order("the one before has not ended", &open.section));
        }
        self.first_object
            .get_or_insert_with(|| section.object.clone());
        self.open = Some(Open { section, events: 0 });
        Ok(())
    }

    /// Adds events to the section.
    ///
    /// # Errors
    /// `Invalid` outside a section; what the writer fails with.
    pub async fn events(&mut self, events: &[Event]) -> Result<()> {
        for event in events {
            let Some(open) = &mut self.open else {
                return Err(Error::invalid(format!(
                    "event is outside a section of the backup: {}",
                    event.id
                )));
            };
            let place = Attributes::of(&open.section.object, Revision(open.events));
            cloudevent::encode(event, &place, &mut self.buffer);
            self.buffer.push(b'\n');
            open.events += 1;
            if self.buffer.len() >= BUFFER {
                self.write_buffer().await?;
            }
        }
        Ok(())
    }

    /// Ends the section.
    ///
    /// # Errors
    /// `Invalid` outside a section, or when the summary counts other events than were added; what
    /// the writer fails with.
    pub async fn end(&mut self, summary: SectionSummary) -> Result<()> {
        let Some(Open { section, events }) = self.open.take() else {
            return Err(Error::invalid("no section of the backup has begun"));
        };
        if events != summary.events {
            return Err(Error::invalid(format!(
                "section counts {} events, but {events} were added: {}",
                summary.events, section.object
            )));
        }
        let mut line = serde_json::to_vec(&SectionLine { section, summary }).map_err(|e| {
            Error::invalid(format!("section cannot be written: {e}")).with_source(e)
        })?;
        line.push(b'\n');
        self.section_count += 1;
        self.event_count += events;
        self.sections.write_all(&line).await.map_err(failed)
    }

    /// Writes what is left, shuts both writers down, and gives the manifest and the writers back.
    /// The manifest is to be stored by the caller, after both.
    ///
    /// # Errors
    /// `Invalid` inside a section; what a writer fails with.
    pub async fn finish(mut self) -> Result<(BackupManifest, E, S)> {
        if let Some(open) = &self.open {
            return Err(out_of_order("it has not ended", &open.section));
        }
        self.write_buffer().await?;
        self.events.shutdown().await.map_err(failed)?;
        self.sections.shutdown().await.map_err(failed)?;
        let (events, sections) = (self.events.into_inner(), self.sections.into_inner());
        let manifest = BackupManifest {
            format: BackupManifest::FORMAT,
            id: self.draft.id,
            kind: self.draft.kind,
            migration: self.draft.migration,
            created_at: self.draft.created_at,
            settings: self.draft.settings,
            sections: self.section_count,
            events: self.event_count,
            checksums: BackupChecksums {
                uncompressed_bytes: self.uncompressed_bytes,
                stored_bytes: events.bytes(),
                stored_blake3: events.blake3(),
                sections_bytes: sections.bytes(),
                sections_blake3: sections.blake3(),
            },
            first_object: self.first_object,
        };
        Ok((manifest, events.into_inner(), sections.into_inner()))
    }

    async fn write_buffer(&mut self) -> Result<()> {
        self.events.write_all(&self.buffer).await.map_err(failed)?;
        self.uncompressed_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        // one huge event must not keep its memory to the end
        self.buffer.shrink_to(2 * BUFFER);
        Ok(())
    }
}

impl<E, S> fmt::Debug for BackupEncoder<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupEncoder")
            .field("id", &self.draft.id)
            .field("open", &self.open)
            .field("sections", &self.section_count)
            .field("events", &self.event_count)
            .finish_non_exhaustive()
    }
}

fn level(compression: Compression) -> Result<i32> {
    match compression {
        Compression::Zstd {
            level: level @ 1..=19,
        } => Ok(level),
        Compression::Zstd { level } => Err(Error::invalid(format!(
            "zstd level is not 1 to 19: {level}"
        ))),
        other => Err(Error::unsupported(format!(
            "compression is not known: {other:?}"
        ))),
    }
}

fn encoder<W: AsyncWrite>(level: i32, out: W) -> ZstdEncoder<Metered<W>>
where
    Metered<W>: AsyncWrite,
{
    let parameters = [CParameter::checksum_flag(true)];
    ZstdEncoder::with_quality_and_params(Metered::new(out), Level::Precise(level), &parameters)
}

fn out_of_order(why: &str, section: &BackupSection) -> Error {
    Error::invalid(format!(
        "section of the backup is out of order, {why}: {}",
        section.object
    ))
}

fn failed(error: std::io::Error) -> Error {
    io_error("backup cannot be written", error)
}
