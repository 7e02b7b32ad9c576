//! A map that is about to be used: a built-in one, or one of the user.

use bytes::Bytes;
use esm_core::{Error, Result};
use esm_jq::{JqMap, MappedEvent};

use super::built_in::{BuiltIn, unknown};
use crate::exit;

/// Makes events of records.
#[derive(Debug)]
pub(crate) struct RecordMap {
    program: JqMap,
    /// The name of a built-in one.
    built_in: Option<&'static str>,
}

impl RecordMap {
    /// The built-in map of a name, or the one in a file.
    ///
    /// # Errors
    /// `NotFound` and other errors of the file system; `Invalid` for a program that is not valid,
    /// with its line and column.
    pub(crate) async fn open(name: &str) -> Result<Self> {
        if let Ok(known) = BuiltIn::named(name) {
            return Ok(Self {
                program: JqMap::compile(known.name, known.text)?,
                built_in: Some(known.name),
            });
        }
        let bytes = tokio::fs::read(name)
            .await
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => unknown(format!("no map {name:?}: no such file")),
                _ => exit::io(format_args!("reading {name}"), error),
            })?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            Error::invalid(format!("map is not UTF-8 at byte {at}: {name}"))
        })?;
        Ok(Self {
            program: JqMap::compile(name, &text)?,
            built_in: None,
        })
    }

    /// Returns the events of a record.
    ///
    /// # Errors
    /// `Invalid`, saying what is wrong with the record or with what the map makes of it.
    pub(in crate::import) fn events(&self, record: &[u8]) -> Result<Vec<MappedEvent>> {
        let record = Bytes::copy_from_slice(record);
        self.program
            .map(&record)
            .map_err(|error| match self.built_in {
                None => error,
                Some(name) => {
                    let hint = other_map(name, &record).unwrap_or_else(|| {
                        format!(
                            "where the records differ, save the map and change it: esm import \
                         --show-map {name} > map.jq"
                        )
                    });
                    error.with_hint(hint)
                }
            })
    }
}

/// The advice for a record that another built-in map is for.
fn other_map(used: &str, record: &[u8]) -> Option<String> {
    let fields = fields(record)?;
    let other = BuiltIn::of_fields(fields.iter().map(String::as_str))?;
    (other.name != used).then(|| format!("the record looks like one for --map {}", other.name))
}

/// The names of the fields of a record that is an object.
pub(in crate::import) fn fields(record: &[u8]) -> Option<Vec<String>> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(record).ok()?;
    Some(object.into_iter().map(|(name, _)| name).collect())
}
