//! A reader of records of any format.

use esm_core::Result;
use esm_format::ndjson::{Content, LineReader};

use super::format::Format;
use super::record::{Record, Unit};
use super::refused;
use super::rows::Rows;
use super::values::Values;

/// Reads the records of an input.
#[derive(Debug)]
pub(crate) enum Records {
    Lines(LineReader),
    Rows(Box<Rows>),
    Values(Values),
}

/// How records are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// What they are; `None` for lines that are events themselves.
    pub(crate) format: Option<Format>,
    pub(crate) delimiter: u8,
    /// The longest record, in bytes.
    pub(crate) max_bytes: u64,
}

impl Records {
    /// Begins to read the records of this content.
    ///
    /// # Errors
    /// `Invalid` for content that is certainly something else, naming the command that helps; those
    /// of [`Rows::open`].
    pub(crate) async fn open(mut content: Content, shape: Shape) -> Result<Self> {
        let longest = usize::try_from(shape.max_bytes).unwrap_or(usize::MAX);
        let begin = content.begin(refused::BEGIN).await;
        refused::check(&begin, content.packing(), shape.format.is_some())?;
        let Some(format) = shape.format.map(|format| format.of(&begin)) else {
            return Ok(Self::Lines(LineReader::of(content, longest)));
        };
        if esm_format::ndjson::is_utf16(&begin) {
            return Err(esm_format::ndjson::utf16());
        }
        Ok(match format {
            Format::Lines => Self::Lines(LineReader::of(content, longest)),
            Format::Csv => {
                let rows = Rows::open(content, shape.delimiter, longest).await?;
                Self::Rows(Box::new(rows))
            }
            Format::Auto | Format::Json => Self::Values(Values::new(content, &begin, longest)),
        })
    }

    /// The next record.
    ///
    /// # Errors
    /// Those of reading and decompressing; of a record that is too long or has no end, with its
    /// number.
    pub(crate) async fn next(&mut self) -> Result<Option<Record<'_>>> {
        match self {
            Self::Lines(lines) => {
                let line = lines.next().await?;
                Ok(line.map(|line| Record {
                    number: line.number,
                    json: line.text.as_bytes(),
                }))
            }
            Self::Rows(rows) => rows.next().await,
            Self::Values(values) => values.next().await,
        }
    }

    /// What the numbers of records count.
    pub(crate) fn unit(&self) -> Unit {
        match self {
            Self::Lines(_) | Self::Rows(_) => Unit::Line,
            Self::Values(values) => values.unit(),
        }
    }
}
