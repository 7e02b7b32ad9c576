//! The first line of a cell: what it is, and how to check and read the rest.

use esm_core::id::StreamId;
use esm_core::store::{CellHeader, CellKind};
use esm_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::body::BodyInfo;
use super::checksum::crc32;
use super::source_runs::{self, Run};
use super::{FORMAT, MAX_BODY_BYTES};

/// Every version of the format begins with these bytes and its number, and ends the first line
/// with the checksum in the form of [`CHECKSUM`]: so a newer one is known for what it is.
const MAGIC: &[u8] = br#"{"esm_cell":"#;
const CHECKSUM: (&[u8], &[u8]) = (br#","crc32":""#, br#""}"#);
const CHECKSUM_DIGITS: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FirstLine {
    esm_cell: u32,
    pub(super) cell: CellHeader,
    /// The stream that the cell belongs to; absent in cells of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<StreamId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<Run>,
    pub(super) body: BodyInfo,
}

#[derive(Deserialize)]
struct Version {
    esm_cell: u32,
}

impl FirstLine {
    pub(super) fn new(
        cell: CellHeader,
        stream: &StreamId,
        sources: Vec<Run>,
        body: BodyInfo,
    ) -> Self {
        Self {
            esm_cell: FORMAT,
            cell,
            stream: Some(stream.clone()),
            sources,
            body,
        }
    }

    /// Appends the line with its end to `out`, which must be empty.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).expect("memory takes every write");
        let end = out.pop();
        debug_assert_eq!(end, Some(b'}'));
        let checksum = crc32(out);
        out.extend_from_slice(CHECKSUM.0);
        out.extend_from_slice(checksum.as_bytes());
        out.extend_from_slice(CHECKSUM.1);
        out.push(b'\n');
    }

    /// As [`read`](Self::read), for a cell of this stream.
    ///
    /// # Errors
    /// `Corrupt`, also for another stream's cell.
    pub(super) fn read_of<'a>(bytes: &'a [u8], stream: &StreamId) -> Result<(Self, &'a [u8])> {
        let (first, rest) = Self::read(bytes)?;
        match &first.stream {
            Some(other) if other != stream => Err(of_another_stream(other)),
            _ => Ok((first, rest)),
        }
    }

    /// Splits a cell into its first line and the rest.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let begins = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(begins) {
            return Err(Error::corrupt(
                "not a cell: it does not begin with {\"esm_cell\":",
            ));
        }
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return Err(Error::corrupt(format!(
                "cell is truncated: its first line does not end within {} bytes",
                bytes.len()
            )));
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        check(line)?;
        let unreadable = |e| Error::corrupt(format!("cell's first line cannot be read: {e}"));
        let version: Version = serde_json::from_slice(line).map_err(unreadable)?;
        if version.esm_cell > FORMAT {
            return Err(Error::corrupt(format!(
                "cell has the newer format {}; this version reads up to {FORMAT}",
                version.esm_cell
            ))
            .with_hint("update esm"));
        }
        let first: Self = serde_json::from_slice(line).map_err(unreadable)?;
        if let Some(what) = first.contradiction() {
            return Err(Error::corrupt(format!("cell contradicts itself: {what}")));
        }
        Ok((first, rest))
    }

    /// What in this line cannot be true together.
    pub(super) fn contradiction(&self) -> Option<String> {
        let cell = &self.cell;
        if let Some(what) = header_contradiction(cell) {
            return Some(what);
        }
        let sources = source_runs::count(&self.sources);
        if !self.sources.is_empty() && sources != Some(cell.count) {
            return Some(format!(
                "source revisions are not as many as its events: {}",
                cell.count
            ));
        }
        if self.body.bytes > MAX_BODY_BYTES {
            return Some(format!(
                "body is larger than {MAX_BODY_BYTES} bytes: {}",
                self.body.bytes
            ));
        }
        let events = matches!(cell.kind, CellKind::Data { .. }) && cell.count > 0;
        if !events && (self.body.bytes > 0 || !self.sources.is_empty()) {
            return Some("it has no events, but a body".to_owned());
        }
        None
    }
}

fn of_another_stream(other: &StreamId) -> Error {
    Error::corrupt(format!("cell belongs to another stream: {other}")).with_hint(
        "files were exchanged or copied: put each cell back into its own stream, or restore the \
         object from a backup",
    )
}

fn header_contradiction(cell: &CellHeader) -> Option<String> {
    let next = (
        cell.seq.checked_add(1),
        cell.first_revision.0.checked_add(cell.count),
    );
    if matches!(next, (None, _) | (_, None)) {
        return Some("its numbers go beyond 64 bits".to_owned());
    }
    if matches!(cell.kind, CellKind::Close(_) | CellKind::Fence(_)) && cell.count > 0 {
        return Some(format!("a control cell with events: {}", cell.count));
    }
    let control = cell.last_control?;
    (control >= cell.seq).then(|| format!("the last control cell before {} is {control}", cell.seq))
}

fn check(line: &[u8]) -> Result<()> {
    let length = CHECKSUM.0.len() + CHECKSUM_DIGITS + CHECKSUM.1.len();
    let split = line.len().checked_sub(length).map(|at| line.split_at(at));
    let checksum = split.and_then(|(covered, end)| {
        let digits = end.strip_prefix(CHECKSUM.0)?.strip_suffix(CHECKSUM.1)?;
        Some((covered, digits))
    });
    match checksum {
        Some((covered, digits)) if crc32(covered).as_bytes() == digits => Ok(()),
        _ => Err(Error::corrupt("cell's first line has a wrong checksum")),
    }
}
