//! What the records of an input are.

use clap::ValueEnum;

/// What the records of an input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// JSON where the input begins with { or [, else CSV.
    #[default]
    Auto,
    /// A JSON value a line.
    Lines,
    /// CSV whose first row names the columns.
    Csv,
    /// JSON values on any number of lines, and the elements of JSON arrays.
    Json,
}

impl Format {
    /// The format of an input that begins with these bytes: never `Auto`.
    pub(super) fn of(self, begin: &[u8]) -> Self {
        match (self, begin_of_text(begin)) {
            (Self::Auto, [b'{' | b'[', ..] | []) => Self::Json,
            (Self::Auto, _) => Self::Csv,
            (format, _) => format,
        }
    }
}

/// The bytes without a byte order mark and blanks in front.
pub(super) fn begin_of_text(begin: &[u8]) -> &[u8] {
    let begin = begin.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begin);
    begin.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_csv_are_told_apart_by_their_first_character() {
        for (begin, expected) in [
            ("{\"a\":1}", Format::Json),
            ("\u{feff} \n[", Format::Json),
            ("", Format::Json),
            ("\"a\",b\n", Format::Csv),
            ("id,type", Format::Csv),
        ] {
            assert_eq!(Format::Auto.of(begin.as_bytes()), expected, "{begin}");
        }
        assert_eq!(Format::Lines.of(b"[1,2]"), Format::Lines);
    }
}
