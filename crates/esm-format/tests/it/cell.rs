//! What is wrong with a cell is said.

use crate::samples;
use bytes::Bytes;
use esm_core::event::Revision;
use esm_core::id::StreamId;
use esm_core::store::{Cell, CellHeader, CellKind, StoreLimits};
use esm_core::{ErrorKind, Result};
use esm_format::cell::{FORMAT, uncompressed_size};

fn encode(cell: &Cell) -> Result<Bytes> {
    esm_format::cell::encode(cell, &samples::stream_id())
}

fn encode_within(cell: &Cell, limits: &StoreLimits) -> Result<Bytes> {
    esm_format::cell::encode_within(cell, &samples::stream_id(), limits)
}

fn decode(bytes: &[u8]) -> Result<Cell> {
    esm_format::cell::decode(bytes, &samples::stream_id())
}

fn decode_header(bytes: &[u8]) -> Result<CellHeader> {
    esm_format::cell::decode_header(bytes, &samples::stream_id())
}

/// A cell with this first line, up to its checksum, and this body.
fn forge(line: &str, body: &[u8]) -> Vec<u8> {
    let checksum = crc32fast::hash(line.as_bytes());
    let mut bytes = format!("{line},\"crc32\":\"{checksum:08x}\"}}\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The first line of a cell that was written, up to its checksum, and the body.
fn take_apart(cell: &Cell) -> (String, Vec<u8>) {
    let bytes = encode(cell).unwrap();
    let end = bytes.iter().position(|b| *b == b'\n').unwrap();
    let line = str::from_utf8(&bytes[..end]).unwrap();
    let covered = &line[..line.rfind(",\"crc32\"").unwrap()];
    (covered.to_owned(), bytes[end + 1..].to_vec())
}

fn corrupt<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt, "{error}");
    error.to_string()
}

#[test]
fn a_forged_cell_is_like_a_written_one() {
    for cell in [samples::small_cell(), samples::copied_cell()] {
        let (line, body) = take_apart(&cell);
        assert_eq!(forge(&line, &body), encode(&cell).unwrap());
    }
}

#[test]
fn a_cell_that_is_cut_anywhere_is_truncated() {
    for cell in [
        samples::small_cell(),
        samples::copied_cell(),
        samples::close_cell(),
    ] {
        let bytes = encode(&cell).unwrap();
        for length in 0..bytes.len() {
            let message = corrupt(decode(&bytes[..length]));
            assert!(
                message.starts_with("cell is truncated: "),
                "{length}: {message}"
            );
        }
        let mut longer = bytes.to_vec();
        longer.push(b'\n');
        assert_eq!(corrupt(decode(&longer)), "cell has bytes behind its end: 1");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    for cell in [
        samples::small_cell(),
        samples::copied_cell(),
        samples::close_cell(),
    ] {
        let bytes = encode(&cell).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[at / 8] ^= 1 << (at % 8);
            corrupt(decode(&damaged));
        }
    }
}

#[test]
fn a_newer_format_is_named() {
    let newer = forge(r#"{"esm_cell":9,"something":"else""#, b"anything");
    let expected = format!("cell has the newer format 9; this version reads up to {FORMAT}");
    assert_eq!(corrupt(decode(&newer)), expected);
    let error = decode_header(&newer).unwrap_err();
    assert_eq!(
        (error.to_string(), error.hint()),
        (expected, Some("update esm"))
    );
}

#[test]
fn what_is_no_cell_is_said_to_be_none() {
    for bytes in [
        &b"PK\x03\x04"[..],
        b"{}\n",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert_eq!(
            corrupt(decode(bytes)),
            "not a cell: it does not begin with {\"esm_cell\":"
        );
    }
    let message = corrupt(decode(&forge(r#"{"esm_cell":1"#, b"")));
    assert!(
        message.starts_with("cell's first line cannot be read: missing field"),
        "{message}"
    );
}

#[test]
fn a_cell_of_another_stream_is_refused() {
    let other: StreamId = "order-8.bbbb".parse().unwrap();
    for cell in [
        samples::small_cell(),
        samples::copied_cell(),
        samples::close_cell(),
    ] {
        let bytes = encode(&cell).unwrap();
        let expected = format!("cell belongs to another stream: {}", samples::stream_id());
        assert_eq!(corrupt(esm_format::cell::decode(&bytes, &other)), expected);
        assert_eq!(
            corrupt(esm_format::cell::decode_header(&bytes, &other)),
            expected
        );
    }
}

#[test]
fn a_cell_that_names_no_stream_is_accepted_in_any() {
    let (line, body) = take_apart(&samples::small_cell());
    let named = format!(",\"stream\":\"{}\"", samples::stream_id());
    let bytes = forge(&line.replace(&named, ""), &body);
    assert_ne!(bytes, encode(&samples::small_cell()).unwrap());
    for stream in ["order-7.aaaa", "order-8.bbbb"] {
        let stream = stream.parse().unwrap();
        let found = esm_format::cell::decode(&bytes, &stream).unwrap();
        assert_eq!(found, samples::small_cell());
    }
}

#[test]
fn the_body_is_checked_apart_from_the_first_line() {
    let mut bytes = encode(&samples::copied_cell()).unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(
        decode_header(&bytes).unwrap(),
        samples::copied_cell().header
    );
    assert_eq!(corrupt(decode(&bytes)), "cell's body has a wrong checksum");
    let first_line = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    assert_eq!(
        decode_header(&bytes[..first_line]).unwrap(),
        samples::copied_cell().header
    );
}

#[test]
fn a_cell_with_right_checksums_that_contradicts_itself_is_refused() {
    let (small, body) = take_apart(&samples::small_cell());
    for (from, to, message) in [
        ("\"count\":1", "\"count\":2", "1 events instead of 2"),
        ("\"count\":1", "\"count\":0", "it has no events, but a body"),
        (
            "\"seq\":1",
            "\"seq\":18446744073709551615",
            "its numbers go beyond 64 bits",
        ),
        (
            "\"first_revision\":0",
            "\"first_revision\":18446744073709551615",
            "its numbers go beyond 64 bits",
        ),
        (
            "\"last_control\":null",
            "\"last_control\":1",
            "the last control cell before 1 is 1",
        ),
        (
            ",\"body\"",
            ",\"sources\":[[0,2]],\"body\"",
            "source revisions are not as many as its events: 1",
        ),
        (
            "\"data\":{}",
            "\"tombstone\":null",
            "it has no events, but a body",
        ),
    ] {
        assert!(small.contains(from), "{from}");
        let bytes = forge(&small.replace(from, to), &body);
        // a tombstone is written as a bare word
        let bytes = if to.contains("tombstone") {
            forge(&small.replace("{\"data\":{}}", "\"tombstone\""), &body)
        } else {
            bytes
        };
        assert_eq!(
            corrupt(decode(&bytes)),
            format!("cell contradicts itself: {message}")
        );
    }
    for runs in [
        "[[0]]",
        "[[0,0]]",
        "[[18446744073709551615,2]]",
        "[[0,1,2]]",
        "[[null,1,0]]",
    ] {
        let to = format!(",\"sources\":{runs},\"body\"");
        let message = corrupt(decode(&forge(&small.replace(",\"body\"", &to), &body)));
        assert!(
            message.contains("run of source revisions"),
            "{runs}: {message}"
        );
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = zstd::bulk::compress(&vec![b' '; 64 << 20], 1).unwrap();
    let (small, _) = take_apart(&samples::small_cell());
    let head = &small[..small.find(",\"body\"").unwrap()];
    let stated = |bytes: u64| {
        let crc32 = crc32fast::hash(&bomb);
        let stored = bomb.len();
        let body = format!(
            "\"body\":{{\"bytes\":{bytes},\"stored\":{stored},\"compression\":\"zstd\",\"crc32\":\"{crc32:08x}\"}}"
        );
        forge(&format!("{head},{body}"), &bomb)
    };
    assert_eq!(
        corrupt(decode(&stated(100))),
        "cell's body cannot be decompressed"
    );
    assert_eq!(
        corrupt(decode(&stated(1 << 40))),
        "cell contradicts itself: body is larger than 1073741824 bytes: 1099511627776"
    );
    // one that states its size has no line in it
    assert_eq!(
        corrupt(decode(&stated(64 << 20))),
        "cell contradicts itself: 0 events instead of 1"
    );
}

#[test]
fn an_event_that_cannot_be_read_is_named() {
    let (small, _) = take_apart(&samples::small_cell());
    let head = &small[..small.find(",\"body\"").unwrap()];
    let body = b"{\"specversion\":\"1.0\",\"type\":\"T\"}\n";
    let info = format!(
        "\"body\":{{\"bytes\":{0},\"stored\":{0},\"compression\":\"none\",\"crc32\":\"{1:08x}\"}}",
        body.len(),
        crc32fast::hash(body)
    );
    let message = corrupt(decode(&forge(&format!("{head},{info}"), body)));
    assert_eq!(
        message,
        "cell's event 0 cannot be read: attribute is missing: id"
    );
}

#[test]
fn a_cell_that_contradicts_itself_is_not_written() {
    let message = |cell: &Cell| {
        let error = encode(cell).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        error.to_string()
    };
    let mut cell = samples::small_cell();
    cell.header.count = 2;
    assert_eq!(
        message(&cell),
        "cell contradicts itself: 1 events instead of 2"
    );
    cell.header.count = 1;
    cell.header.first_revision = Revision(u64::MAX);
    assert_eq!(
        message(&cell),
        "cell contradicts itself: its numbers go beyond 64 bits"
    );
    let mut cell = samples::small_cell();
    cell.header.kind = CellKind::Tombstone;
    assert_eq!(
        message(&cell),
        "cell contradicts itself: 1 events instead of 0"
    );
    let mut cell = samples::close_cell();
    cell.header.count = 1;
    assert_eq!(
        message(&cell),
        "cell contradicts itself: a control cell with events: 1"
    );
}

#[test]
fn limits_are_kept_to_the_byte() {
    let cell = samples::copied_cell();
    let whole = uncompressed_size(&cell.events);
    let largest = cell
        .events
        .iter()
        .map(|e| uncompressed_size(std::slice::from_ref(e)))
        .max();
    let mut limits = StoreLimits::default();
    limits.max_event_bytes = largest.unwrap();
    limits.max_cell_bytes = whole;
    limits.max_cell_events = cell.header.count;
    assert_eq!(
        encode_within(&cell, &limits).unwrap(),
        encode(&cell).unwrap()
    );

    let message = |limits: &StoreLimits| {
        let error = encode_within(&cell, limits).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::TooLarge);
        error.to_string()
    };
    let (mut events, mut cells, mut count) = (limits, limits, limits);
    events.max_event_bytes -= 1;
    assert_eq!(
        message(&events),
        format!(
            "event has {} bytes as a line, and at most {} are accepted: order/7/0 at revision 1",
            limits.max_event_bytes, events.max_event_bytes
        )
    );
    cells.max_cell_bytes -= 1;
    assert_eq!(
        message(&cells),
        format!("cell of 6 events has more than {} bytes", whole - 1)
    );
    count.max_cell_events -= 1;
    assert_eq!(
        message(&count),
        "cell has 6 events, and at most 5 are accepted"
    );
}

#[test]
fn a_body_is_compressed_where_that_makes_it_smaller() {
    let compression = |cell: &Cell| {
        let (line, _) = take_apart(cell);
        line.contains("\"compression\":\"zstd\"")
    };
    assert!(compression(&samples::copied_cell()));
    assert!(!compression(&samples::close_cell()));
    let mut noise = samples::small_cell();
    let bytes: Vec<u8> = (0_u32..500)
        .flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes())
        .collect();
    noise.events[0].event.payload = serde_json::to_vec(&"short").unwrap().into();
    assert!(!compression(&noise));
    noise.events[0].event.payload = bytes.into();
    // base64 of noise still compresses to what it encodes
    assert!(compression(&noise));
}

#[test]
fn one_to_one_copies_need_one_run_of_source_revisions() {
    let mut cell = samples::copied_cell();
    let many = cell.events.iter().cycle().take(500).cloned();
    cell.events = many.collect();
    cell.header.count = 500;
    for (revision, event) in (40..).zip(&mut cell.events) {
        event.source_revision = Some(Revision(revision));
    }
    let (line, _) = take_apart(&cell);
    assert!(line.contains("\"sources\":[[40,500]],"), "{line}");
    cell.events
        .iter_mut()
        .for_each(|e| e.source_revision = Some(Revision(3)));
    let (line, _) = take_apart(&cell);
    assert!(line.contains("\"sources\":[[3,500,0]],"), "{line}");
    cell.events
        .iter_mut()
        .for_each(|e| e.source_revision = None);
    let (line, _) = take_apart(&cell);
    assert!(!line.contains("sources"), "{line}");
}
