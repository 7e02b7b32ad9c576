//! What a file is, by its path in the store (docs/formats.md, "Layout on an object store").

use std::fmt::{self, Display, Formatter};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Marker,
    Cell,
    Head,
    Document,
    Routing,
    Journal,
    Control,
    Progress,
    Index,
    KnownStores,
    Acquisition,
    Heartbeat,
    /// The events or the sections of a backup.
    BackupFile,
    Manifest,
    /// A probe of the self-test.
    SelfTest,
    /// `.esm-swept`.
    Swept,
    /// A file that is being written.
    Staging,
    /// The document does not describe it.
    Unknown,
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Marker => "marker",
            Self::Cell => "cell",
            Self::Head => "head",
            Self::Document => "document",
            Self::Routing => "routing entry",
            Self::Journal => "journal",
            Self::Control => "commands",
            Self::Progress => "progress",
            Self::Index => "index",
            Self::KnownStores => "known stores",
            Self::Acquisition => "lock",
            Self::Heartbeat => "heartbeat",
            Self::BackupFile => "backup's file",
            Self::Manifest => "manifest",
            Self::SelfTest => "probe",
            Self::Swept => ".esm-swept",
            Self::Staging => "staging file",
            Self::Unknown => "file of no known kind",
        })
    }
}

/// What a file is, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// The name of the stream, migration, lock or backup, or `name/key` of the object.
    pub(crate) of: String,
    /// Its number among its siblings, where it has one.
    pub(crate) number: Option<u64>,
}

impl Place {
    /// Of a path below the store's root, with `/` between its parts.
    pub(crate) fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').collect();
        if parts.last().is_some_and(|name| name.contains('#')) {
            return Self::new(Kind::Staging, String::new(), None);
        }
        match parts[..] {
            ["esm.json"] => Self::new(Kind::Marker, String::new(), None),
            [".esm-swept"] => Self::new(Kind::Swept, String::new(), None),
            ["esm-self-test", _] => Self::new(Kind::SelfTest, String::new(), None),
            ["streams", stream, "c", cell] => Self::numbered(Kind::Cell, name(stream), cell),
            ["streams", stream, "head"] => Self::new(Kind::Head, name(stream), None),
            ["documents", kind, key, version] => {
                Self::numbered(Kind::Document, object(kind, key), version)
            }
            ["routing", kind, key, version] => {
                Self::numbered(Kind::Routing, object(kind, key), version)
            }
            ["journals", of, version] => Self::numbered(Kind::Journal, of.to_owned(), version),
            ["control", of, version] => Self::numbered(Kind::Control, of.to_owned(), version),
            ["progress", of, version] => Self::numbered(Kind::Progress, of.to_owned(), version),
            ["index", version] => Self::numbered(Kind::Index, String::new(), version),
            ["known-stores", version] => Self::numbered(Kind::KnownStores, String::new(), version),
            ["locks", lock, file] => match file.strip_suffix(".hb") {
                Some(token) => Self::numbered(Kind::Heartbeat, name(lock), token),
                None => Self::numbered(Kind::Acquisition, name(lock), file),
            },
            ["backups", backup, "manifest.json"] => Self::new(Kind::Manifest, name(backup), None),
            ["backups", backup, file] if file.ends_with(".ndjson.zst") => {
                Self::new(Kind::BackupFile, name(backup), None)
            }
            _ => Self::new(Kind::Unknown, path.to_owned(), None),
        }
    }

    fn new(kind: Kind, of: String, number: Option<u64>) -> Self {
        Self { kind, of, number }
    }

    fn numbered(kind: Kind, of: String, digits: &str) -> Self {
        let is_number = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse() {
            Ok(number) if is_number => Self::new(kind, of, Some(number)),
            _ => Self::new(Kind::Unknown, of, None),
        }
    }
}

fn object(name_segment: &str, key_segment: &str) -> String {
    format!("{}/{}", name(name_segment), name(key_segment))
}

/// The name of a segment; a cut one as it is.
fn name(segment: &str) -> String {
    decoded(segment).unwrap_or_else(|| segment.to_owned())
}

fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment;
    while let Some(c) = rest.chars().next() {
        if c == '_' {
            bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
            rest = &rest[3..];
        } else {
            bytes.push(u8::try_from(c).ok()?);
            rest = &rest[c.len_utf8()..];
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_a_file_is_and_whose() {
        let number = "00000000000000000042";
        let cell = Place::of(&format!("streams/_4frder_2f_c3_a9.ab/c/{number}"));
        assert_eq!(
            cell,
            Place::new(Kind::Cell, "Order/é.ab".to_owned(), Some(42))
        );
        let beat = Place::of(&format!("locks/object_20o_2fa/{number}.hb"));
        assert_eq!(
            beat,
            Place::new(Kind::Heartbeat, "object o/a".to_owned(), Some(42))
        );
        let document = Place::of(&format!("documents/o/a/{number}"));
        assert_eq!(
            document,
            Place::new(Kind::Document, "o/a".to_owned(), Some(42))
        );
        assert_eq!(Place::of("streams/a/c/0#17").kind, Kind::Staging);
        assert_eq!(Place::of("documents/o/a/42").kind, Kind::Unknown);
        assert_eq!(
            Place::of("backups/b/x.events.ndjson.zst").kind,
            Kind::BackupFile
        );
    }
}
