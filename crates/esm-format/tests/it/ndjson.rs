//! Files of lines: plain, gzip and zstd, good and bad ones.

use std::io::{self, Cursor, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};

use esm_core::{ErrorKind, Result};
use esm_format::ndjson::{LineReader, LineWriter, Packing};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

const LIMIT: usize = 1000;
const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Zstd];

async fn read_from<R: AsyncRead + Send + Unpin + 'static>(reader: R) -> Result<Vec<(u64, String)>> {
    let mut lines = LineReader::open(reader, LIMIT).await?;
    let mut found = Vec::new();
    while let Some(line) = lines.next().await? {
        found.push((line.number, line.text.to_owned()));
    }
    assert_eq!(lines.next().await?, None, "the end stays the end");
    Ok(found)
}

async fn read(bytes: impl Into<Vec<u8>>) -> Result<Vec<(u64, String)>> {
    read_from(Cursor::new(bytes.into())).await
}

async fn pack(lines: &[&str], packing: Packing) -> Vec<u8> {
    let (mut ours, theirs) = tokio::io::duplex(1 << 20);
    let mut writer = LineWriter::new(theirs, packing);
    for line in lines {
        writer.write(line.as_bytes()).await.unwrap();
    }
    writer.finish().await.unwrap();
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn numbered(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    lines
        .iter()
        .map(|(n, text)| (*n, (*text).to_owned()))
        .collect()
}

#[tokio::test]
async fn what_is_written_is_read_also_in_several_members() {
    for packing in PACKINGS {
        let mut file = pack(&["a", "é"], packing).await;
        file.extend(pack(&["c"], packing).await);
        let expected = numbered(&[(1, "a"), (2, "é"), (3, "c")]);
        assert_eq!(read(file.clone()).await.unwrap(), expected, "{packing:?}");
        let opened = LineReader::open(Cursor::new(file), LIMIT).await.unwrap();
        assert_eq!(opened.packing(), packing);
    }
    assert_eq!(pack(&["a", "b"], Packing::Plain).await, b"a\nb\n");
}

#[tokio::test]
async fn an_empty_file_has_no_lines() {
    assert_eq!(read("").await.unwrap(), []);
    for packing in PACKINGS {
        assert_eq!(
            read(pack(&[], packing).await).await.unwrap(),
            [],
            "{packing:?}"
        );
    }
}

#[tokio::test]
async fn marks_blank_lines_and_either_line_end_are_tolerated() {
    let expected = numbered(&[(1, "a"), (4, "b"), (6, "c")]);
    assert_eq!(
        read("\u{feff}a\r\n\r\n \t\nb\n\nc").await.unwrap(),
        expected
    );
    assert_eq!(read("\u{feff}\na").await.unwrap(), numbered(&[(2, "a")]));
    let inside = read("a\n\u{feff}b").await.unwrap();
    assert_eq!(inside, numbered(&[(1, "a"), (2, "b")]));
}

#[tokio::test]
async fn a_skippable_frame_in_front_is_still_zstd() {
    let mut file = vec![0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 0xaa, 0xbb];
    file.extend(pack(&["a"], Packing::Zstd).await);
    assert_eq!(read(file).await.unwrap(), numbered(&[(1, "a")]));
}

#[tokio::test]
async fn a_line_may_be_as_long_as_the_limit() {
    let longest = "x".repeat(LIMIT);
    let lines = read(format!("a\n{longest}\n")).await.unwrap();
    assert_eq!(lines, numbered(&[(1, "a"), (2, &longest)]));
    let error = read(format!("a\n{longest}y\n")).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "line 2: longer than 1000 bytes");
}

#[tokio::test]
async fn memory_does_not_grow_with_a_file_of_one_endless_line() {
    let endless = tokio::io::repeat(b'x');
    let error = read_from(endless).await.unwrap_err();
    assert_eq!(error.to_string(), "line 1: longer than 1000 bytes");
}

#[tokio::test]
async fn invalid_utf8_is_named_by_line_and_column() {
    let error = read(b"a\nb\xc3\xa9\xff\n".to_vec()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Invalid);
    assert_eq!(error.to_string(), "line 2: not UTF-8, at column 4");
}

#[tokio::test]
async fn a_damaged_or_cut_file_is_invalid() {
    // not compressible, so that damage in the middle hits data
    let noise: Vec<String> = (0_u32..2000)
        .map(|n| blake3::hash(&n.to_le_bytes()).to_hex().to_string())
        .collect();
    let noise: Vec<&str> = noise.iter().map(String::as_str).collect();
    for (packing, name) in [(Packing::Gzip, "gzip"), (Packing::Zstd, "zstd")] {
        let file = pack(&noise, packing).await;
        let mut damaged = file.clone();
        let middle = file.len() / 2;
        damaged[middle] ^= 0xff;
        damaged[middle + 1] ^= 0xff;
        for (what, file) in [("cut", &file[..middle]), ("damaged", &damaged)] {
            let error = read(file).await.expect_err(what);
            assert_eq!(error.kind(), &ErrorKind::Invalid, "{name} {what}: {error}");
            let text = error.to_string();
            let end = format!(": {name} data is damaged or ends too early");
            assert!(
                text.starts_with("after line ") && text.ends_with(&end),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn zeros_behind_gzip_are_padding_and_anything_else_is_garbage() {
    let member = pack(&["a line"], Packing::Gzip).await;
    let two = [&member[..], &[0; 700], &member, &[0; 100_000]].concat();
    let expected = [(1, "a line".to_owned()), (2, "a line".to_owned())];
    assert_eq!(read(two).await.unwrap(), expected);

    for packing in [Packing::Gzip, Packing::Zstd] {
        let member = pack(&["a line"], packing).await;
        for garbage in [&b"garbage"[..], b"\0\0garbage", b"{}\n"] {
            let error = read([&member[..], garbage].concat()).await.unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Invalid);
            let name = format!("{packing:?}").to_lowercase();
            let expected = format!("after line 1: garbage behind the end of the {name} data");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[tokio::test]
async fn a_zstd_window_beyond_the_limit_is_named() {
    let packed = |window_log| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(b"a line\n").unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(read(packed(27)).await.unwrap(), [(1, "a line".to_owned())]);
    let error = read(packed(28)).await.unwrap_err();
    assert!(
        error.to_string().contains("window of more than 128 MiB"),
        "{error}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("--long=31")));
}

#[tokio::test]
async fn utf16_is_named_and_byte_order_marks_of_joined_files_are_skipped() {
    let text = "{\"id\":\"1\"}\n{}\n";
    let encoded = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
        let units = text.encode_utf16().flat_map(unit);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    for input in [
        encoded(b"\xff\xfe", u16::to_le_bytes),
        encoded(b"\xfe\xff", u16::to_be_bytes),
        encoded(b"", u16::to_le_bytes),
        encoded(b"", u16::to_be_bytes),
    ] {
        let error = read(input).await.unwrap_err();
        assert_eq!(error.to_string(), "line 1: UTF-16, not UTF-8");
        assert!(error.hint().is_some_and(|hint| hint.contains("iconv")));
    }
    let joined = "\u{feff}\u{feff}a\n\u{feff}b\n\u{feff}\n";
    let expected = [(1, "a".to_owned()), (2, "b".to_owned())];
    assert_eq!(read(joined).await.unwrap(), expected);
}

/// Fails once the bytes before it are read.
#[derive(Debug)]
struct Failing(io::ErrorKind);

impl AsyncRead for Failing {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.0.into()))
    }
}

#[tokio::test]
async fn a_reader_that_fails_is_not_a_damaged_file() {
    for packing in PACKINGS {
        let begin = Cursor::new(pack(&["a line"], packing).await);
        let error = read_from(begin.chain(Failing(io::ErrorKind::TimedOut)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable, "{packing:?}");
        assert!(error.to_string().starts_with("after line "), "{error}");
    }
    let error = read_from(Failing(io::ErrorKind::PermissionDenied))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn lines_come_before_the_file_is_complete() {
    let (mut ours, theirs) = tokio::io::duplex(64);
    ours.write_all(b"first\nsec").await.unwrap();
    let mut lines = LineReader::open(theirs, LIMIT).await.unwrap();
    let first = lines.next().await.unwrap().map(|l| l.text.to_owned());
    assert_eq!(first.as_deref(), Some("first"));
    ours.write_all(b"ond").await.unwrap();
    drop(ours);
    let second = lines.next().await.unwrap().map(|l| l.text.to_owned());
    assert_eq!(second.as_deref(), Some("second"));
}
