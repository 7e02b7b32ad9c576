//! A layout as data.

use std::collections::BTreeSet;

use esm_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which columns of which tables hold the events of streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Version of the format of the file.
    pub format: u32,
    /// The name, such as `marten`.
    pub name: String,
    /// The table of events.
    pub events: Events,
    /// The table of streams, where the events alone do not say what a stream is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<Streams>,
    /// How the object of a stream is named.
    pub object: ObjectRule,
}

/// The table of events and its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The table.
    pub table: String,
    /// Its schema; defaults to the search path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The columns that say which stream an event belongs to.
    pub key: Vec<String>,
    /// Columns that a unique index of key and number may have in addition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique_with: Vec<String>,
    /// The column of the event's number in its stream.
    pub number: String,
    /// The number of a stream's first event.
    pub first: i64,
    /// Whether numbers may be absent. Defaults to `false`: a gap is damage.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holes: bool,
    /// The column of the event's id; without one, the number is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The column of the event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The column with the name of the class that reads the payload. It changes with the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The column of the payload's schema version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The member of the metadata that holds the payload's schema version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_in_metadata: Option<String>,
    /// The column of the payload.
    pub payload: String,
    /// Whether the payload is `{TYPE: …}` or `"TYPE"`, as serde writes an enum: its tag changes with
    /// the type. Defaults to `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub type_is_tag: bool,
    /// The media type of a payload of text or bytes. Defaults to `text/plain` and
    /// `application/octet-stream`; columns of JSON are JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The column of the metadata, a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The column of the event's time; without a time zone it is UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The columns of the order of all events, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global_order: Vec<String>,
    /// Columns named above that a table may lack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub optional: Vec<String>,
    /// The SQLSTATE of a refused append. It must not be one that applications take for a conflict, and
    /// retry. Defaults to [`REFUSAL`](Self::REFUSAL).
    #[serde(default = "refusal", skip_serializing_if = "is_refusal")]
    pub refusal: String,
}

impl Events {
    /// The SQLSTATE of a refused append, where a layout names no other.
    pub const REFUSAL: &str = "ES001";
}

fn refusal() -> String {
    Events::REFUSAL.to_owned()
}

fn is_refusal(code: &str) -> bool {
    code == Events::REFUSAL
}

/// The table of streams and its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// The table.
    pub table: String,
    /// Its schema; defaults to the search path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The columns that [`Events::key`] names, in the same order.
    pub key: Vec<String>,
    /// The column with the last number of the stream, which appends compare and count up. With
    /// [`holes`](Events::holes), rows in the middle of a stream may be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<String>,
}

/// How the object of a stream is named. The columns are those of the table of streams, or of the
/// table of events where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectRule {
    /// The column of the object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name where that column is null, or of all objects where there is no such column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_name: Option<String>,
    /// The column of the object's key.
    pub key: String,
    /// The text between name and key in that column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Further columns that distinguish streams, such as a tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub qualifiers: Vec<Qualifier>,
}

/// A column that distinguishes streams of the same name and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qualifier {
    /// The column.
    pub column: String,
    /// The value that the object's name does not show.
    pub default: String,
}

impl Layout {
    /// The format that this version reads.
    pub const FORMAT: u32 = 1;

    /// Reads a layout from TOML.
    ///
    /// # Errors
    /// `Invalid`, naming the line or the contradiction; `Unsupported` for a newer format.
    pub fn parse(text: &str) -> Result<Self> {
        let layout: Self = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(1, |span| line(text, span.start));
            Error::invalid(format!("layout cannot be read, line {at}: {}", e.message()))
        })?;
        layout.check()?;
        Ok(layout)
    }

    fn check(&self) -> Result<()> {
        if self.format > Self::FORMAT {
            let message = format!("layout has a newer format: {}", self.format);
            return Err(Error::unsupported(message).with_hint("use a newer esm"));
        }
        let Events { key, .. } = &self.events;
        if key.is_empty() {
            return Err(Error::invalid("layout names no key column: events.key"));
        }
        let required = [
            ("events.table", &self.events.table),
            ("events.number", &self.events.number),
            ("events.type", &self.events.event_type),
            ("events.payload", &self.events.payload),
            ("object.key", &self.object.key),
        ];
        if let Some((field, _)) = required.iter().find(|(_, value)| value.is_empty()) {
            return Err(Error::invalid(format!(
                "layout leaves a field empty: {field}"
            )));
        }
        if self.events.version.is_some() && self.events.version_in_metadata.is_some() {
            return Err(Error::invalid(
                "layout names two places of the schema version: events.version and \
                 events.version_in_metadata",
            ));
        }
        if self.events.version_in_metadata.is_some() && self.events.metadata.is_none() {
            return Err(Error::invalid(
                "layout names no metadata column: events.version_in_metadata needs it",
            ));
        }
        self.check_refusal()?;
        self.check_object()?;
        match &self.streams {
            Some(streams) if streams.key.len() != key.len() => Err(Error::invalid(
                "layout has keys of different lengths: events.key and streams.key",
            )),
            Some(_) => Ok(()),
            None => self.check_identity(),
        }
    }

    /// The code of success, of a warning and of a conflict would hide the refusal.
    fn check_refusal(&self) -> Result<()> {
        let code = &self.events.refusal;
        let is_code = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
        let is_error = !["00", "01", "02"]
            .iter()
            .any(|class| code.starts_with(class));
        if code.len() == 5 && code.bytes().all(is_code) && is_error && code != "23505" {
            return Ok(());
        }
        let message =
            format!("layout names no SQLSTATE of an error of its own: events.refusal {code:?}");
        Err(Error::invalid(message)
            .with_hint("leave it out, or use five digits and capital letters"))
    }

    fn check_object(&self) -> Result<()> {
        let ObjectRule {
            name,
            default_name,
            split,
            ..
        } = &self.object;
        if name.is_some() && split.is_some() {
            return Err(Error::invalid(
                "layout names objects in two ways: object.name and object.split",
            ));
        }
        if split.as_ref().is_some_and(String::is_empty) {
            return Err(Error::invalid("layout leaves a field empty: object.split"));
        }
        if name.is_none() && split.is_none() && default_name.is_none() {
            return Err(Error::invalid("layout gives objects no name").with_hint(
                "add object.name (a column), object.split, or object.default_name (a fixed name)",
            ));
        }
        Ok(())
    }

    /// Without a table of streams, the object must say the whole key.
    fn check_identity(&self) -> Result<()> {
        let key: BTreeSet<&str> = self.events.key.iter().map(String::as_str).collect();
        let identity: BTreeSet<&str> = self.object.columns().into_iter().collect();
        if key == identity {
            return Ok(());
        }
        let list =
            |columns: &BTreeSet<&str>| columns.iter().copied().collect::<Vec<_>>().join(", ");
        Err(Error::invalid(format!(
            "layout names objects by other columns than the key: {} instead of {}",
            list(&identity),
            list(&key)
        ))
        .with_hint(
            "object.name, object.key and object.qualifiers must name each column of events.key, \
             unless there is a table of streams",
        ))
    }
}

impl ObjectRule {
    /// Returns the columns that name the object: name, key, qualifiers.
    pub fn columns(&self) -> Vec<&str> {
        let name = self.name.iter().map(String::as_str);
        let qualifiers = self.qualifiers.iter().map(|q| q.column.as_str());
        name.chain([self.key.as_str()]).chain(qualifiers).collect()
    }
}

fn line(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BuiltIn;

    const LEAST: &str = "
format = 1
name = \"mine\"
[events]
table = \"events\"
key = [\"stream\"]
number = \"version\"
first = 1
type = \"type\"
payload = \"data\"
[object]
key = \"stream\"
default_name = \"order\"
";

    #[test]
    fn every_layout_that_is_built_in_can_be_read_and_has_its_name() {
        for built_in in BuiltIn::ALL {
            let layout = Layout::parse(built_in.text()).unwrap();
            assert_eq!(layout.name, built_in.name());
        }
        assert!(Layout::parse(LEAST).is_ok());
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_the_place() {
        for (from, to, said) in [
            ("number =", "numbr =", "line 7"),
            ("format = 1", "format = 2", "newer format"),
            ("[\"stream\"]", "[]", "events.key"),
            ("\"data\"", "\"\"", "events.payload"),
            ("default_name = \"order\"", "", "no name"),
            ("default_name", "split = \"-\"\nname", "two ways"),
            (
                "[object]\nkey = \"stream\"",
                "[object]\nkey = \"other\"",
                "other instead of stream",
            ),
            (
                "type =",
                "version = \"v\"\nversion_in_metadata = \"v\"\ntype =",
                "two places",
            ),
            (
                "type =",
                "version_in_metadata = \"v\"\ntype =",
                "no metadata",
            ),
            (
                "type =",
                "refusal = \"23505\"\ntype =",
                "events.refusal \"23505\"",
            ),
            ("type =", "refusal = \"es001\"\ntype =", "events.refusal"),
            (
                "[object]",
                "[streams]\ntable = \"s\"\nkey = []\n[object]",
                "lengths",
            ),
        ] {
            let text = LEAST.replace(from, to);
            assert_ne!(text, LEAST, "{from}");
            let error = Layout::parse(&text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}: {said}");
        }
    }
}
