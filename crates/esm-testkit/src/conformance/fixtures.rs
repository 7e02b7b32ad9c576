//! Events and names that the cases write.

use esm_core::clock::Environment;
use esm_core::event::{Event, MetadataValue, Revision, SchemaVersion};
use esm_core::id::{CommitId, EventId, EventType, HolderId, MigrationId, StreamId, StreamRef};
use esm_core::store::{
    Append, Cell, CellEvent, Close, EventStore, Fence, PageLimit, ReadFrom, Tail,
};
use esm_core::{Error, Result};

use super::Failure;

pub(crate) fn commit() -> CommitId {
    Environment::system().commit_id()
}

pub(crate) fn migration() -> MigrationId {
    Environment::system().migration_id()
}

pub(crate) fn holder(name: &str) -> Result<HolderId> {
    HolderId::new(name)
}

pub(crate) fn stream() -> Result<StreamId> {
    StreamId::new("order-123.0123456789abcdef")
}

/// A small event whose id is this number.
pub(crate) fn event(number: u64) -> Result<Event> {
    let payload = format!("{{\"number\":{number}}}");
    Ok(Event::new(
        EventId::new(format!("e{number}"))?,
        EventType::new("Numbered")?,
        payload,
    ))
}

pub(crate) fn events(numbers: std::ops::Range<u64>) -> Result<Vec<CellEvent>> {
    numbers.map(|n| Ok(event(n)?.into())).collect()
}

pub(crate) fn append(numbers: std::ops::Range<u64>) -> Result<Append> {
    Ok(Append::events(commit(), events(numbers)?))
}

/// Returns what a copier writes where it dropped every event: a cursor and no event.
pub(crate) fn cursor_only(cursor: u64) -> Append {
    Append {
        cursor: Some(Revision(cursor)),
        ..Append::events(commit(), Vec::new())
    }
}

pub(crate) fn close(store: &dyn EventStore, events: Revision) -> Result<Close> {
    Ok(Close {
        target: Some(StreamRef::new(store.id(), StreamId::new("the-target")?)),
        events,
        target_events: Revision(events.0 + 7),
        migration: migration(),
        continues: true,
        target_last: None,
    })
}

pub(crate) fn fence() -> Result<Fence> {
    Ok(Fence {
        target: StreamId::new("fenced-target")?,
        migration: migration(),
    })
}

/// A stream of data cells of 3, 1 and 2 events, with a Fence, a cursor-only cell and another Fence
/// between them; of a store that cannot fence, cursor-only cells.
pub(crate) async fn mixed_stream(store: &dyn EventStore, id: &StreamId) -> Result<Tail> {
    let tail = store.append(id, &Tail::default(), append(0..3)?).await?;
    let tail = eventless(store, id, &tail).await?;
    let tail = store.append(id, &tail, append(3..4)?).await?;
    let tail = store.append(id, &tail, cursor_only(9)).await?;
    let tail = eventless(store, id, &tail).await?;
    store.append(id, &tail, append(4..6)?).await
}

async fn eventless(store: &dyn EventStore, id: &StreamId, tail: &Tail) -> Result<Tail> {
    if store.capabilities().fence {
        store.fence(id, tail, commit(), fence()?).await
    } else {
        store.append(id, tail, cursor_only(5)).await
    }
}

/// The whole stream, read with generous pages.
pub(crate) async fn read_all(store: &dyn EventStore, id: &StreamId) -> Result<Vec<Cell>, Failure> {
    read_paged(
        store,
        id,
        PageLimit {
            cells: 64,
            bytes: 1 << 20,
        },
    )
    .await
}

/// The whole stream, read with these pages.
pub(crate) async fn read_paged(
    store: &dyn EventStore,
    id: &StreamId,
    limit: PageLimit,
) -> Result<Vec<Cell>, Failure> {
    let mut cells: Vec<Cell> = Vec::new();
    loop {
        let next = cells.last().map_or(0, |cell| cell.header.seq + 1);
        let page = store.read(id, ReadFrom::Seq(next), limit).await?;
        let end = page.at_end || page.cells.is_empty();
        cells.extend(page.cells);
        if end {
            return Ok(cells);
        }
        if cells.len() > 100_000 {
            return Err(Failure::new("reading does not end"));
        }
    }
}

/// Returns names that file systems, URLs and databases confuse. Each has a similar one in the list.
pub(crate) fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a",
        "A",
        "a.",
        "a ",
        " a",
        "a/b",
        "a\\b",
        "a//b",
        "a%2Fb",
        "a%2fb",
        "a_b",
        "a-b",
        "a+b",
        "a:b",
        "a*b?",
        ".",
        "..",
        "../a",
        "...",
        "~",
        "-rf",
        "con",
        "CON",
        "aux.txt",
        "nul",
        "c",
        "head",
        "c/0",
        "0",
        "00",
        "esm.json",
        ".hidden",
        "a\u{301}",
        "\u{e1}",
        "\u{feff}a",
        "日本語",
        "🛒",
        "ß",
        "ss",
        "ẞ",
        "İ",
        "i\u{307}",
        "\"'`",
        "<a>&b;",
        "$(x)",
        "#",
        "a#b",
        "?",
        "=",
        "\u{202e}a",
        "\u{200b}",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(500));
    names.push(format!("{}y", "x".repeat(499)));
    names.push("é".repeat(250));
    names
}

/// Returns events with bytes, texts and fields that codecs get wrong.
pub(crate) fn odd_events() -> Result<Vec<Event>> {
    let payloads: Vec<Vec<u8>> = vec![
        Vec::new(),
        (0..=255).collect(),
        b"\xff\xfe not UTF-8 \xc3".to_vec(),
        b"{ \"a\" : 1.0,\n \"a\": 1e400, \"b\": 12345678901234567890 }\r\n".to_vec(),
        br#""\ud800 lone surrogate""#.to_vec(),
        "\u{feff}{\"bom\":true}".into(),
        "null".into(),
        "{\"\u{2028}\":\"\\u0000\"}".into(),
        vec![0; 4096],
        "\n\n".into(),
    ];
    let content_types = [
        None,
        Some("application/json"),
        Some("text/plain; charset=utf-8"),
        Some(""),
    ];
    let times = [
        None,
        Some("2024-02-30T25:61:61.123456789+14:30"),
        Some("yesterday"),
        Some(""),
    ];
    let mut events = Vec::new();
    for (p, payload) in payloads.iter().enumerate() {
        for (c, content_type) in content_types.iter().enumerate() {
            let id = EventId::new(format!("odd \"{p}\" / {c} é"))?;
            let mut event = Event::new(id, EventType::new("Odd type: ü/\\")?, payload.clone());
            event.content_type = content_type.map(str::to_owned);
            event.time = times[(p + c) % times.len()].map(str::to_owned);
            event.schema_version = SchemaVersion(u32::MAX - u32::try_from(p).unwrap_or(0));
            if c % 2 == 0 {
                event
                    .metadata
                    .insert("subject", "a \"quoted\"\n\ttext é🛒")?;
                event
                    .metadata
                    .insert("flag", MetadataValue::Boolean(true))?;
                event
                    .metadata
                    .insert("n", MetadataValue::Integer(i64::MIN))?;
                event.metadata.insert("digits", "123")?;
                event.metadata.insert("word", "true")?;
                event.metadata.insert("Case-Matters_1.x", "")?;
            }
            events.push(event);
        }
    }
    Ok(events)
}

/// Returns the value, or a failure that names what is missing.
pub(crate) fn present<T>(value: Option<T>, what: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::new(format!("missing: {what}")))
}

/// The kind of an error in short, for messages.
pub(crate) fn describe<T>(result: &Result<T, Error>) -> String {
    match result {
        Ok(_) => "success".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    }
}
