//! Inputs that have no records, with the command that makes some.

use esm_core::{Error, Result};
use esm_format::ndjson::Packing;

use super::format::begin_of_text;
use crate::import::map::BuiltIn;

/// How many of an input's first bytes are checked.
pub(super) const BEGIN: usize = 4 << 10;

/// Content that begins so, what it is, and what makes records of it.
const BINARY: [(&[u8], &str, &str); 8] = [
    (
        b"PK\x03\x04",
        "a zip archive",
        "unzip -p FILE | esm import -",
    ),
    (b"BZh", "bzip2 data", "bzip2 -dc FILE | esm import -"),
    (b"\xfd7zXZ\0", "xz data", "xz -dc FILE | esm import -"),
    (
        b"\x04\x22\x4d\x18",
        "lz4 data",
        "lz4 -dc FILE | esm import -",
    ),
    (b"PGDMP", "a dump of PostgreSQL in its custom format", TABLE),
    (
        b"SQLite format 3\0",
        "an SQLite database",
        "sqlite3 -json FILE 'select * from events order by id' | esm import --map postgres -",
    ),
    (
        b"PAR1",
        "a Parquet file",
        "duckdb -json -c \"select * from 'FILE'\" | esm import --map MAP.jq -",
    ),
    (
        b"Obj\x01",
        "an Avro file",
        "avro-tools tojson FILE | esm import --map MAP.jq -",
    ),
];

/// Text that begins so, in capitals, and what it is.
const SQL: [&str; 5] = ["--", "COPY ", "INSERT INTO ", "SET ", "CREATE TABLE "];

const TABLE: &str = "export the table as CSV: psql -c \"\\copy (select * from events order by id) \
                     to 'events.csv' csv header\"";

/// Refuses content that is certainly something else than records.
///
/// # Errors
/// `Invalid`, with the command that helps.
pub(super) fn check(begin: &[u8], packing: Packing, mapped: bool) -> Result<()> {
    let what = BINARY.iter().find(|(magic, _, _)| begin.starts_with(magic));
    if let Some((_, what, command)) = what {
        return Err(not_events(what, command));
    }
    if packing != Packing::Plain && Packing::detect(begin) != Packing::Plain {
        let what = "compressed twice";
        return Err(not_events(
            what,
            &format!("{} FILE | esm import -", unpack(packing)),
        ));
    }
    if begin.get(257..262) == Some(b"ustar") {
        return Err(not_events("a tar archive", "tar -xOf FILE | esm import -"));
    }
    let text = begin_of_text(begin);
    let line = first_line(text);
    if SQL
        .iter()
        .any(|sql| line.to_ascii_uppercase().starts_with(sql))
    {
        return Err(not_events("SQL", TABLE));
    }
    if text.starts_with(b"<") {
        let command = "convert it to JSON, and write a map: esm import --map MAP.jq FILE";
        return Err(not_events("XML or HTML", command));
    }
    if !mapped && !matches!(text, [b'{' | b'[', ..] | []) {
        return header(&line);
    }
    Ok(())
}

fn unpack(packing: Packing) -> &'static str {
    match packing {
        Packing::Zstd => "zstd -dc",
        Packing::Gzip | Packing::Plain => "gzip -dc",
    }
}

fn not_events(what: &str, command: &str) -> Error {
    Error::invalid(format!("the input is {what}, not lines of events")).with_hint(command)
}

/// Refuses the header of a CSV file.
fn header(line: &str) -> Result<()> {
    let columns = || {
        line.split([',', ';', '\t'])
            .map(|name| name.trim().trim_matches('"'))
    };
    let is_name = |name: &str| {
        let first = name.chars().next();
        first.is_some_and(char::is_alphabetic) && !name.contains(['{', '}', ':', '"', '<'])
    };
    if columns().count() < 3 || !columns().all(is_name) {
        return Ok(());
    }
    let (map, note) = match BuiltIn::of_fields(columns()) {
        Some(map) => (map.name, ""),
        None => (
            "postgres",
            ", or with a map of your own (docs/importing.md)",
        ),
    };
    let command = format!("import it with a map: esm import --map {map} FILE{note}");
    Err(not_events("CSV", &command))
}

/// The text of the first line, as far as it is known.
fn first_line(begin: &[u8]) -> String {
    let line = begin
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(line).trim_end().to_owned()
}

/// The delimiter of CSV: one ASCII character, or `tab`.
///
/// # Errors
/// Says what it takes.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("takes one ASCII character, such as ';', or tab".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_lines_of_events_is_named_with_a_command() {
        let mut tar = vec![b'a'; 257];
        tar.extend_from_slice(b"ustar\0");
        for (begin, said, command) in [
            (&b"PK\x03\x04..."[..], "zip archive", "unzip -p"),
            (b"BZh91AY", "bzip2", "bzip2 -dc"),
            (b"\xfd7zXZ\0", "xz", "xz -dc"),
            (b"PGDMP\x01", "PostgreSQL", "\\copy"),
            (b"SQLite format 3\0", "SQLite", "sqlite3 -json"),
            (b"PAR1", "Parquet", "duckdb"),
            (&tar, "tar archive", "tar -xOf"),
            (b"--\n-- PostgreSQL database dump\n--", "SQL", "\\copy"),
            (b"copy public.events (id) FROM stdin;", "SQL", "\\copy"),
            (b"<?xml version=\"1.0\"?>", "XML", "--map MAP.jq"),
            (b"id,type,data\n", "CSV", "--map postgres"),
            (
                b"id;stream_name;position;global_position;type\n",
                "CSV",
                "--map message-db",
            ),
        ] {
            let error = check(begin, Packing::Plain, false).expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
            let hint = error.hint().unwrap_or_default();
            assert!(hint.contains(command), "{hint}");
        }
        let twice = check(b"\x1f\x8b\x08", Packing::Zstd, false).expect_err("twice");
        assert!(
            twice
                .hint()
                .is_some_and(|hint| hint.starts_with("zstd -dc"))
        );
    }

    #[test]
    fn lines_of_events_are_not_refused() {
        for begin in [
            "",
            "{\"specversion\":\"1.0\"}",
            "[",
            "not an event",
            "a,b",
            "1,2,3",
        ] {
            assert!(
                check(begin.as_bytes(), Packing::Plain, false).is_ok(),
                "{begin}"
            );
        }
        assert!(check(b"id,type,data\n", Packing::Gzip, true).is_ok());
    }

    #[test]
    fn a_delimiter_is_one_character() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("tab"), Ok(b'\t'));
        for wrong in ["", ";;", "\"", "é"] {
            assert!(delimiter(wrong).is_err(), "{wrong}");
        }
    }
}
