//! The mark: the line that esm stores beside the event of each native entry that it writes.

use serde::{Deserialize, Serialize};

use esm_core::event::Revision;
use esm_core::id::CommitId;
use esm_core::store::Origin;
use esm_core::{Error, Result};

/// The mark of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Version of the format, [`Mark::FORMAT`]. A reader refuses a newer one.
    esm: u32,
    /// The cell's commit id.
    pub(super) commit: CommitId,
    /// Which entry of its cell this is, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) index: u64,
    /// In a cell that a migration copied: the revision of the source event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Revision>,
    /// In the first entry of a cell: the cell's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cell: Option<MarkedCell>,
}

/// A cell's header without its commit id and without the content of a control entry's event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MarkedCell {
    pub(super) seq: u64,
    pub(super) revision: Revision,
    pub(super) count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<CommitId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_control: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<Revision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<Origin>,
}

/// The part that every format has.
#[derive(Deserialize)]
struct Outline {
    esm: u32,
}

fn is_first(index: &u64) -> bool {
    *index == 0
}

impl Mark {
    /// The format that this version writes.
    const FORMAT: u32 = 1;

    pub(super) fn new(
        commit: CommitId,
        index: u64,
        source: Option<Revision>,
        cell: Option<MarkedCell>,
    ) -> Self {
        Self {
            esm: Self::FORMAT,
            commit,
            index,
            source,
            cell,
        }
    }

    /// Escapes what is not ASCII, so that no store's encoding matters.
    pub(super) fn encode(&self) -> Result<String> {
        let json = serde_json::to_string(self)
            .map_err(|e| Error::invalid("a mark cannot be written as JSON").with_source(e))?;
        if json.is_ascii() {
            return Ok(json);
        }
        let mut ascii = String::with_capacity(json.len());
        for c in json.chars() {
            if c.is_ascii() {
                ascii.push(c);
                continue;
            }
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
        Ok(ascii)
    }

    /// # Errors
    /// `Unsupported` for a newer format; `Corrupt`.
    pub(super) fn decode(json: &str) -> Result<Self> {
        let corrupt =
            |e: serde_json::Error| Error::corrupt("an entry's mark cannot be read").with_source(e);
        let outline: Outline = serde_json::from_str(json).map_err(corrupt)?;
        if outline.esm > Self::FORMAT {
            let message = format!(
                "an entry's mark has a newer format than {}: {}",
                Self::FORMAT,
                outline.esm
            );
            return Err(Error::unsupported(message).with_hint("use a newer version of esm"));
        }
        serde_json::from_str(json).map_err(corrupt)
    }
}
