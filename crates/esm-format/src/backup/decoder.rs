//! Reading backups.

use std::fmt;

use async_compression::tokio::bufread::ZstdDecoder;
use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::store::{BackupItem, BackupManifest, BackupSection, SectionSummary};
use esm_core::{Error, Result};
use tokio::io::{AsyncRead, BufReader};

use super::section::SectionLine;
use super::{EVENTS_FILE, SECTIONS_FILE, manifest};
use crate::cell::MAX_BODY_BYTES;
use crate::cloudevent::{Decoded, Own, decode_own};
use crate::lines::{LineError, Lines};
use crate::metered::Metered;

const BUFFER: usize = 64 << 10;
/// Events are given out in pieces of about so many, and so many bytes of lines.
const PIECE_EVENTS: usize = 256;
const PIECE_BYTES: usize = 1 << 20;
/// The longest line of a section: its document is the largest thing in it.
const MAX_SECTION_LINE: u64 = 64 << 20;

/// Reads a backup from two readers, in constant memory: buffers, a piece of about a megabyte or the
/// largest event, and what zstd needs. It gives what
/// [`BackupReader`](esm_core::store::BackupReader) asks for.
pub struct BackupDecoder<E, S> {
    manifest: BackupManifest,
    events: File<E>,
    sections: File<S>,
    state: State,
    section_count: u64,
    event_count: u64,
}

#[derive(Debug)]
enum State {
    Between,
    In {
        object: ObjectId,
        next: u64,
        summary: SectionSummary,
    },
    Finished,
}

impl<E, S> BackupDecoder<E, S>
where
    E: AsyncRead + Unpin + Send,
    S: AsyncRead + Unpin + Send,
{
    /// Begins to read the backup with this manifest.
    ///
    /// # Errors
    /// `Corrupt` for a newer format.
    pub fn new(manifest: BackupManifest, events: E, sections: S) -> Result<Self> {
        if manifest.format > BackupManifest::FORMAT {
            return Err(manifest::newer(manifest.format));
        }
        let longest = manifest.checksums.uncompressed_bytes.min(MAX_BODY_BYTES);
        Ok(Self {
            events: File::new(EVENTS_FILE, events, longest),
            sections: File::new(SECTIONS_FILE, sections, MAX_SECTION_LINE),
            manifest,
            state: State::Between,
            section_count: 0,
            event_count: 0,
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &BackupManifest {
        &self.manifest
    }

    /// What comes next; nothing at the end, after all sizes, counts and checksums of the manifest
    /// were found right. The hash of a section is given out, not compared.
    ///
    /// # Errors
    /// `Corrupt`, naming the file, and the line where there is one; what a reader fails with.
    ///
    /// # Cancel safety
    /// Not safe to drop and continue.
    pub async fn next(&mut self) -> Result<Option<BackupItem>> {
        match &mut self.state {
            State::Finished => Ok(None),
            State::Between => self.next_section().await,
            State::In { next, summary, .. } if *next == summary.events => {
                let summary = summary.clone();
                self.state = State::Between;
                Ok(Some(BackupItem::End(summary)))
            }
            State::In {
                object,
                next,
                summary,
            } => {
                let piece = read_piece(&mut self.events, object, *next, summary.events).await?;
                *next += piece.len() as u64;
                self.event_count += piece.len() as u64;
                Ok(Some(BackupItem::Events(piece)))
            }
        }
    }

    async fn next_section(&mut self) -> Result<Option<BackupItem>> {
        if !self.sections.advance().await? {
            self.check_end().await?;
            self.state = State::Finished;
            return Ok(None);
        }
        let line: SectionLine = serde_json::from_slice(self.sections.line())
            .map_err(|e| self.sections.corrupt_line(&e.to_string()))?;
        self.section_count += 1;
        let SectionLine { section, summary } = line;
        self.state = State::In {
            object: section.object.clone(),
            next: 0,
            summary,
        };
        Ok(Some(BackupItem::Section(Box::new(section))))
    }

    async fn check_end(&mut self) -> Result<()> {
        if self.events.advance().await? {
            return Err(self.events.corrupt_line("it belongs to no section"));
        }
        let sums = &self.manifest.checksums;
        self.events
            .check_sums(sums.stored_bytes, &sums.stored_blake3)?;
        self.sections
            .check_sums(sums.sections_bytes, &sums.sections_blake3)?;
        for (what, found, stated) in [
            ("events", self.event_count, self.manifest.events),
            ("sections", self.section_count, self.manifest.sections),
            (
                "uncompressed bytes",
                self.events.uncompressed,
                sums.uncompressed_bytes,
            ),
        ] {
            if found != stated {
                return Err(Error::corrupt(format!(
                    "backup has {found} {what} instead of {stated}, as its manifest says"
                )));
            }
        }
        Ok(())
    }
}

/// Reads the sections of a backup alone, without its events.
pub struct SectionsDecoder<S> {
    manifest: BackupManifest,
    sections: File<S>,
    section_count: u64,
    event_count: u64,
}

impl<S: AsyncRead + Unpin + Send> SectionsDecoder<S> {
    /// Begins to read the sections of the backup with this manifest.
    ///
    /// # Errors
    /// `Corrupt` for a newer format.
    pub fn new(manifest: BackupManifest, sections: S) -> Result<Self> {
        if manifest.format > BackupManifest::FORMAT {
            return Err(manifest::newer(manifest.format));
        }
        Ok(Self {
            manifest,
            sections: File::new(SECTIONS_FILE, sections, MAX_SECTION_LINE),
            section_count: 0,
            event_count: 0,
        })
    }

    /// The next section; nothing at the end, after the size and the checksum of the file, and the
    /// counts of the manifest, were found right.
    ///
    /// # Errors
    /// `Corrupt`, naming the file, and the line where there is one; what the reader fails with.
    pub async fn next(&mut self) -> Result<Option<BackupSection>> {
        if !self.sections.advance().await? {
            let sums = &self.manifest.checksums;
            self.sections
                .check_sums(sums.sections_bytes, &sums.sections_blake3)?;
            return self.check_counts().map(|()| None);
        }
        let line: SectionLine = serde_json::from_slice(self.sections.line())
            .map_err(|e| self.sections.corrupt_line(&e.to_string()))?;
        self.section_count += 1;
        self.event_count = self.event_count.saturating_add(line.summary.events);
        Ok(Some(line.section))
    }

    fn check_counts(&self) -> Result<()> {
        let manifest = &self.manifest;
        for (what, found, stated) in [
            ("sections", self.section_count, manifest.sections),
            ("events", self.event_count, manifest.events),
        ] {
            if found != stated {
                return Err(Error::corrupt(format!(
                    "{SECTIONS_FILE} lists {found} {what} instead of {stated}, as the manifest says"
                )));
            }
        }
        Ok(())
    }
}

impl<S> fmt::Debug for SectionsDecoder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SectionsDecoder")
            .field("id", &self.manifest.id)
            .field("sections", &self.section_count)
            .finish_non_exhaustive()
    }
}

async fn read_piece<E: AsyncRead + Unpin>(
    file: &mut File<E>,
    object: &ObjectId,
    next: u64,
    end: u64,
) -> Result<Vec<Event>> {
    let mut piece = Vec::new();
    let mut bytes = 0;
    let mut revision = next;
    while revision < end && piece.len() < PIECE_EVENTS && bytes < PIECE_BYTES {
        if !file.advance().await? {
            return Err(Error::corrupt(format!(
                "{} ends before event {revision} of {end} of {object}",
                file.name
            )));
        }
        bytes += file.line().len();
        let decoded = decode_own(file.line(), Own::AfterType)
            .map_err(|e| file.corrupt_line(&e.to_string()))?;
        piece.push(
            at_its_place(decoded, object, revision).map_err(|what| file.corrupt_line(&what))?,
        );
        revision += 1;
    }
    Ok(piece)
}

fn at_its_place(decoded: Decoded, object: &ObjectId, revision: u64) -> Result<Event, String> {
    if decoded.sequence != Some(Revision(revision)) {
        return Err(format!("its sequence is not {revision}"));
    }
    let implied = [object.name().as_str(), object.key().as_str()];
    let found = [&decoded.source, &decoded.subject];
    let is_its = found
        .iter()
        .zip(implied)
        .all(|(found, implied)| found.as_deref().is_none_or(|f| f == implied));
    if !is_its {
        return Err(format!("it is not an event of {object}"));
    }
    Ok(decoded.event)
}

impl<E, S> fmt::Debug for BackupDecoder<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupDecoder")
            .field("id", &self.manifest.id)
            .field("state", &self.state)
            .field("sections", &self.section_count)
            .field("events", &self.event_count)
            .finish_non_exhaustive()
    }
}

/// One of the two compressed files.
struct File<R> {
    name: &'static str,
    lines: Lines<ZstdDecoder<BufReader<Metered<R>>>>,
    longest: u64,
    uncompressed: u64,
}

impl<R: AsyncRead + Unpin> File<R> {
    fn new(name: &'static str, reader: R, longest: u64) -> Self {
        let mut decoder = ZstdDecoder::new(BufReader::with_capacity(BUFFER, Metered::new(reader)));
        // so that it reads to the end of the file, and bytes behind a frame are noticed
        decoder.multiple_members(true);
        Self {
            name,
            lines: Lines::new(decoder, usize::try_from(longest).unwrap_or(usize::MAX)),
            longest,
            uncompressed: 0,
        }
    }

    async fn advance(&mut self) -> Result<bool> {
        match self.lines.advance().await {
            Ok(true) => {
                self.uncompressed += self.lines.current().bytes.len() as u64 + 1;
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(LineError::TooLong(number)) => Err(Error::corrupt(format!(
                "{}: line {number}: longer than {} bytes",
                self.name, self.longest
            ))),
            Err(LineError::Io(number, error)) => {
                let damaged = || Error::corrupt("zstd data is damaged or ends too early");
                let error = self.metered().failure().explain(error, damaged);
                Err(error.context(format_args!("{}: after line {number}", self.name)))
            }
        }
    }

    fn line(&self) -> &[u8] {
        self.lines.current().bytes
    }

    fn corrupt_line(&self, what: &str) -> Error {
        let number = self.lines.current().number;
        Error::corrupt(format!("{}: line {number}: {what}", self.name))
    }

    fn metered(&self) -> &Metered<R> {
        self.lines.get_ref().get_ref().get_ref()
    }

    fn check_sums(&self, bytes: u64, blake3: &str) -> Result<()> {
        let file = self.metered();
        if file.bytes() != bytes {
            return Err(Error::corrupt(format!(
                "{} has {} bytes instead of {bytes}, as the manifest says",
                self.name,
                file.bytes()
            )));
        }
        if file.blake3() != blake3 {
            return Err(Error::corrupt(format!(
                "{} has another checksum than the manifest says",
                self.name
            )));
        }
        Ok(())
    }
}
