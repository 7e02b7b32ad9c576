//! Rows of CSV as JSON objects, in constant memory.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use esm_core::{Error, Result};
use esm_format::ndjson::Content;

use super::record::{Record, too_long};

/// Reads the rows of CSV (RFC 4180) whose first row names the columns. A row becomes a JSON object of
/// texts; an empty field becomes `null`, as PostgreSQL writes NULL so.
#[derive(Debug)]
pub(crate) struct Rows {
    content: Content,
    reader: Reader,
    limit: usize,
    /// Content that was not read yet, from `at` on.
    input: Vec<u8>,
    at: usize,
    ended: bool,
    /// The fields of the current row, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// The names of the columns, as JSON.
    columns: Vec<String>,
    json: Vec<u8>,
}

impl Rows {
    /// Reads the header.
    ///
    /// # Errors
    /// `Invalid` for a header that names a column twice or not at all, or has another delimiter;
    /// those of [`next`](Self::next).
    pub(super) async fn open(content: Content, delimiter: u8, limit: usize) -> Result<Self> {
        let mut rows = Self {
            content,
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            limit,
            input: Vec::new(),
            at: 0,
            ended: false,
            fields: vec![0; 4 << 10],
            ends: vec![0; 64],
            columns: Vec::new(),
            json: Vec::new(),
        };
        if let Some((line, count)) = rows.read().await? {
            rows.columns = header(&rows.texts(line, count)?).map_err(|e| at(line, e))?;
        }
        Ok(rows)
    }

    /// The next row.
    ///
    /// # Errors
    /// Those of reading; `TooLarge` for a row over the limit; `Invalid`, with its line, for one that
    /// has another number of fields than the header, is not UTF-8, or ends within quotes.
    pub(super) async fn next(&mut self) -> Result<Option<Record<'_>>> {
        let Some((number, count)) = self.read().await? else {
            return Ok(None);
        };
        if count != self.columns.len() {
            let columns = self.columns.len();
            let what = format!("the row has {count} fields, the header has {columns}");
            let error = Error::invalid(what);
            return Err(at(
                number,
                error.with_hint("quote fields that contain the delimiter, quotes or line ends"),
            ));
        }
        let texts = self.texts(number, count)?;
        let mut json = vec![b'{'];
        for (column, text) in self.columns.iter().zip(texts) {
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(column.as_bytes());
            json.push(b':');
            let value = Some(text).filter(|text| !text.is_empty());
            serde_json::to_writer(&mut json, &value)
                .map_err(|e| Error::corrupt("a text cannot be written as JSON").with_source(e))?;
        }
        json.push(b'}');
        self.json = json;
        Ok(Some(Record {
            number,
            json: &self.json,
        }))
    }

    /// Reads a row. Returns its line and the number of its fields.
    async fn read(&mut self) -> Result<Option<(u64, usize)>> {
        let (mut written, mut count, mut quotes) = (0, 0, 0);
        let mut line = None;
        loop {
            if self.at == self.input.len() && !self.ended {
                self.fill().await?;
            }
            // blank lines in front of the row are not part of it
            if line.is_none() {
                let rest = &self.input[self.at..];
                let blank = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
                let before = blank.filter(|byte| **byte == b'\n').count() as u64;
                line = (!rest.is_empty()).then(|| self.reader.line() + before);
            }
            let (result, read, wrote, ended) = self.reader.read_record(
                &self.input[self.at..],
                &mut self.fields[written..],
                &mut self.ends[count..],
            );
            quotes += memchr::memchr_iter(b'"', &self.input[self.at..self.at + read]).count();
            self.at += read;
            written += wrote;
            count += ended;
            let number = line.unwrap_or(1);
            if written > self.limit {
                return Err(at(number, too_long(self.limit)));
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record if quotes % 2 == 1 && self.ended => {
                    let what = "the input ends within a quoted field: it is cut off";
                    return Err(at(number, Error::invalid(what)));
                }
                ReadRecordResult::Record => return Ok(Some((number, count))),
            }
        }
    }

    async fn fill(&mut self) -> Result<()> {
        let begin = self.reader.line() == 1 && self.input.is_empty();
        self.input.clear();
        self.at = 0;
        let read = self.content.read(&mut self.input).await;
        let read = read.map_err(|e| e.context(format!("after line {}", self.reader.line())))?;
        self.ended = read == 0;
        if begin && self.input.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        Ok(())
    }

    /// The fields of the current row.
    fn texts(&self, line: u64, count: usize) -> Result<Vec<&str>> {
        let mut texts = Vec::with_capacity(count);
        let mut start = 0;
        for (index, end) in self.ends[..count].iter().enumerate() {
            let text = std::str::from_utf8(&self.fields[start..*end]).map_err(|_| {
                let column = match self.columns.get(index) {
                    Some(name) => name.clone(),
                    None => (index + 1).to_string(),
                };
                at(
                    line,
                    Error::invalid(format!("column {column} is not UTF-8")),
                )
            })?;
            texts.push(text);
            start = *end;
        }
        Ok(texts)
    }
}

fn at(line: u64, error: Error) -> Error {
    error.context(format!("line {line}"))
}

/// The names of the columns, as JSON.
fn header(names: &[&str]) -> Result<Vec<String>> {
    if let [name] = names
        && let Some(other) = [';', '\t', '|']
            .into_iter()
            .find(|other| name.contains(*other))
    {
        let shown = if other == '\t' {
            "tab".to_owned()
        } else {
            format!("'{other}'")
        };
        let what = "the header has one column only: the delimiter is another";
        return Err(Error::invalid(what).with_hint(format!("add --delimiter {shown}")));
    }
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            let what = format!("the header has no name for column {}", index + 1);
            return Err(Error::invalid(what).with_hint("the first row must name the columns"));
        }
        if names[..index].contains(name) {
            let what = format!("the header has the column {name:?} twice");
            return Err(Error::invalid(what).with_hint("give each column a name of its own"));
        }
    }
    let json = |name: &&str| serde_json::Value::from(*name).to_string();
    Ok(names.iter().map(json).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8], delimiter: u8) -> Result<Vec<(u64, String)>> {
        let content = Content::open(std::io::Cursor::new(text.to_vec())).await?;
        let mut rows = Rows::open(content, delimiter, 10_000).await?;
        let mut found = Vec::new();
        while let Some(record) = rows.next().await? {
            found.push((
                record.number,
                String::from_utf8_lossy(record.json).into_owned(),
            ));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn rows_become_objects_with_the_line_that_they_begin_on() -> Result<()> {
        let text = "\u{feff}id,\"da\"\"ta\"\r\n1,\"{\"\"a\"\":\n1}\"\r\n\r\n2,\n3,é";
        let expected = [
            (2, r#"{"id":"1","da\"ta":"{\"a\":\n1}"}"#),
            (5, r#"{"id":"2","da\"ta":null}"#),
            (6, r#"{"id":"3","da\"ta":"é"}"#),
        ];
        let expected = expected.map(|(line, json)| (line, json.to_owned()));
        assert_eq!(read(text.as_bytes(), b',').await?, expected);
        assert!(read(b"", b',').await?.is_empty());
        assert!(read(b"a,b\n", b',').await?.is_empty());
        assert_eq!(read(b"a;b\n1;2\n", b';').await?.len(), 1);
        Ok(())
    }

    #[tokio::test]
    async fn rows_may_be_longer_than_every_buffer() -> Result<()> {
        let columns: Vec<String> = (0..200).map(|column| format!("c{column}")).collect();
        let values: Vec<String> = (0..200).map(|_| "x".repeat(40)).collect();
        let text = format!("{}\n{}\n", columns.join(","), values.join(","));
        let rows = read(text.as_bytes(), b',').await?;
        assert_eq!(rows.len(), 1);
        assert!(rows[0].1.contains("\"c199\":\"xxxx"));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_row_is_named_with_its_line() {
        let long = format!("a,b\n1,{}\n", "x".repeat(20_000));
        for (text, said) in [
            (
                &b"a,b\n1,2\n3\n"[..],
                "line 3: the row has 1 fields, the header has 2",
            ),
            (
                b"a,b\n1,\"2\n3",
                "line 2: the input ends within a quoted field",
            ),
            (b"a,b\n1,\xff\n", "line 2: column \"b\" is not UTF-8"),
            (b"a,a\n", "line 1: the header has the column \"a\" twice"),
            (b"a,,b\n", "line 1: the header has no name for column 2"),
            (b"a;b\n1;2\n", "line 1: the header has one column only"),
            (
                long.as_bytes(),
                "line 2: the record is longer than 10000 bytes",
            ),
        ] {
            let error = read(text, b',').await.expect_err(said).to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
