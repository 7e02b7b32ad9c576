//! JSON values one after another, and the elements of arrays, in constant memory.
//!
//! Only the ends of values are found here: by brackets and strings. What is between them is read
//! strictly by the map.

use esm_core::{Error, Result};
use esm_format::ndjson::Content;

use super::format::begin_of_text;
use super::record::{Record, Unit, too_long};

/// Reads JSON values one after another. Those that are arrays are replaced by their elements.
#[derive(Debug)]
pub(crate) struct Values {
    content: Content,
    limit: usize,
    unit: Unit,
    buffer: Vec<u8>,
    /// The first byte of the buffer that was not read.
    at: usize,
    ended: bool,
    /// The line of that byte.
    line: u64,
    elements: u64,
    inside: Inside,
}

/// Where the next value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Outside of an array.
    Nothing,
    /// Behind the `[` of an array.
    Begin,
    /// Behind an element.
    Element,
    /// Behind the comma after an element.
    Comma,
}

impl Values {
    /// Reads values of at most so many bytes.
    pub(super) fn new(content: Content, begin: &[u8], limit: usize) -> Self {
        let is_array = begin_of_text(begin).first() == Some(&b'[');
        Self {
            content,
            limit,
            unit: if is_array { Unit::Element } else { Unit::Line },
            buffer: Vec::new(),
            at: 0,
            ended: false,
            line: 1,
            elements: 0,
            inside: Inside::Nothing,
        }
    }

    /// What the numbers of records count.
    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    /// The next value.
    ///
    /// # Errors
    /// Those of reading; `TooLarge` for a value over the limit; `Invalid` for one that has no end, and
    /// for what is between the elements of an array.
    pub(super) async fn next(&mut self) -> Result<Option<Record<'_>>> {
        if !self.seek().await? {
            return Ok(None);
        }
        let length = self.length().await?;
        let line = self.line;
        let start = self.at;
        self.skip(length);
        self.elements += 1;
        if self.inside != Inside::Nothing {
            self.inside = Inside::Element;
        }
        let number = match self.unit {
            Unit::Line => line,
            Unit::Element => self.elements,
        };
        let json = &self.buffer[start..start + length];
        Ok(Some(Record { number, json }))
    }

    /// Goes to the next value; `false` at the end of the input.
    async fn seek(&mut self) -> Result<bool> {
        while let Some(byte) = self.peek(0).await? {
            match (self.inside, byte) {
                (_, b' ' | b'\n' | b'\r' | b'\t') => {}
                (Inside::Nothing, 0xef) if self.is_mark().await? => self.skip(2),
                (Inside::Nothing, b'[') => self.inside = Inside::Begin,
                (Inside::Begin | Inside::Element, b']') => self.inside = Inside::Nothing,
                (Inside::Element, b',') => self.inside = Inside::Comma,
                (Inside::Element, _) => return Err(self.unexpected("a comma or `]`")),
                (_, b',' | b']' | b'}' | b':') => return Err(self.unexpected("a value")),
                _ => return Ok(true),
            }
            self.skip(1);
        }
        if self.inside == Inside::Nothing {
            return Ok(false);
        }
        Err(self.wrong("the input ends within an array: it is cut off"))
    }

    /// Whether a byte order mark is here: files that were joined have them inside.
    async fn is_mark(&mut self) -> Result<bool> {
        Ok(
            self.peek(2).await? == Some(0xbf)
                && self.buffer[self.at..].starts_with(b"\xef\xbb\xbf"),
        )
    }

    /// The length of the value that begins here.
    async fn length(&mut self) -> Result<usize> {
        let mut scan = Scan::default();
        loop {
            let end = scan.end(&self.buffer[self.at..]);
            if scan.length > self.limit {
                return Err(too_long(self.limit).context(self.place()));
            }
            if let Some(length) = end {
                return Ok(length);
            }
            if self.peek(scan.length).await?.is_none() {
                return if scan.depth == 0 && !scan.in_text {
                    Ok(scan.length)
                } else {
                    Err(self.wrong("the input ends within a value: it is cut off"))
                };
            }
        }
    }

    /// The byte so far behind the next one.
    async fn peek(&mut self, offset: usize) -> Result<Option<u8>> {
        while self.at + offset >= self.buffer.len() && !self.ended {
            self.buffer.drain(..self.at);
            self.at = 0;
            let read = self.content.read(&mut self.buffer).await;
            let read = read.map_err(|e| e.context(format!("after line {}", self.line)))?;
            self.ended = read == 0;
        }
        Ok(self.buffer.get(self.at + offset).copied())
    }

    fn skip(&mut self, bytes: usize) {
        let skipped = &self.buffer[self.at..self.at + bytes];
        self.line += memchr::memchr_iter(b'\n', skipped).count() as u64;
        self.at += bytes;
    }

    fn unexpected(&self, expected: &str) -> Error {
        let rest = &self.buffer[self.at..];
        let end = rest.len().min(20);
        let found = String::from_utf8_lossy(&rest[..end]);
        self.wrong(&format!("expected {expected}, found {found:?}"))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::invalid(what).context(self.place())
    }

    /// Where the next byte is.
    fn place(&self) -> String {
        match self.unit {
            Unit::Line => format!("line {}", self.line),
            Unit::Element => format!("element {} (line {})", self.elements + 1, self.line),
        }
    }
}

/// Finds the end of a value.
#[derive(Debug, Default)]
struct Scan {
    /// Bytes of the value that were seen.
    length: usize,
    /// Brackets and braces that are open.
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    /// The length of the value that begins here, if its end is among the bytes. Continues where it
    /// stopped before.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for byte in &bytes[self.length.min(bytes.len())..] {
            let is_scalar = self.depth == 0 && !self.in_text && self.length > 0;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t' if is_scalar => {
                    return Some(self.length);
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.length += 1;
            if self.depth == 0 && !self.in_text && matches!(byte, b'}' | b']' | b'"') {
                return Some(self.length);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str, limit: usize) -> Result<Vec<(u64, String)>> {
        let content = Content::open(std::io::Cursor::new(text.as_bytes().to_vec())).await?;
        let mut values = Values::new(content, text.as_bytes(), limit);
        let mut found = Vec::new();
        while let Some(record) = values.next().await? {
            found.push((
                record.number,
                String::from_utf8_lossy(record.json).into_owned(),
            ));
        }
        Ok(found)
    }

    fn numbered(values: &[(u64, &str)]) -> Vec<(u64, String)> {
        let own = |(number, json): &(u64, &str)| (*number, (*json).to_owned());
        values.iter().map(own).collect()
    }

    #[tokio::test]
    async fn values_have_the_line_that_they_begin_on() -> Result<()> {
        let text = "\u{feff}{\"a\":\"}\\\"\"}\n\n{\n \"b\": [1,\n2]\n} 7\n\u{feff}\"x\"true";
        let expected = [
            (1, "{\"a\":\"}\\\"\"}"),
            (3, "{\n \"b\": [1,\n2]\n}"),
            (6, "7"),
            (7, "\"x\""),
            (7, "true"),
        ];
        assert_eq!(read(text, 100).await?, numbered(&expected));
        Ok(())
    }

    #[tokio::test]
    async fn arrays_are_read_by_element_and_may_follow_one_another() -> Result<()> {
        let text = " [ {\"a\":[1]} , 2,\"]\" ]\n[]\n[null]";
        let expected = [(1, "{\"a\":[1]}"), (2, "2"), (3, "\"]\""), (4, "null")];
        assert_eq!(read(text, 100).await?, numbered(&expected));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_cut_off_or_between_elements_is_named() {
        for (text, said) in [
            (
                "[{\"a\":1}",
                "element 2 (line 1): the input ends within an array",
            ),
            (
                "[1,\n{\"a\":1",
                "element 2 (line 2): the input ends within a value",
            ),
            ("[1,,2]", "element 2 (line 1): expected a value, found \","),
            ("[1,]", "expected a value"),
            ("[1 2]", "expected a comma or `]`"),
            ("{}\n}", "line 2: expected a value"),
            ("{}\n{\"a\":\"b", "line 2: the input ends within a value"),
            (
                "{}\n{\"a\":\"bbbbbbbbbbbbbb\"}",
                "line 2: the record is longer than 10 bytes",
            ),
        ] {
            let error = read(text, 10).await.expect_err(text).to_string();
            assert!(
                error.starts_with(said) || error.contains(said),
                "{text}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn memory_is_bounded_by_the_longest_value() -> Result<()> {
        let text = format!("[{}1]", "{\"a\":1},".repeat(100_000));
        let content = Content::open(std::io::Cursor::new(text.into_bytes())).await?;
        let mut values = Values::new(content, b"[", 100);
        let mut count = 0;
        while values.next().await?.is_some() {
            count += 1;
        }
        assert_eq!(count, 100_001);
        assert!(
            values.buffer.capacity() < 1 << 20,
            "{}",
            values.buffer.capacity()
        );
        Ok(())
    }
}
