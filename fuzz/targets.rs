//! What a fuzzer feeds: every decoder of bytes that a process did not write itself.
//!
//! A target accepts or refuses any bytes, and never panics. What it accepts, it writes and reads
//! again without a difference. The targets of this folder run under cargo-fuzz; a test of `esm-cli`
//! replays their seeds, and mutations of them, with the stable toolchain.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::sync::Arc;

use esm_core::event::{Event, Revision};
use esm_core::id::{EventId, EventType, MigrationId, ObjectId, StreamId};
use esm_core::migration::{MigrationPlan, MigrationService, SettingsChange};
use esm_core::object::ObjectDocument;
use esm_core::protocol::control::ControlRecord;
use esm_core::protocol::journal::JournalRecord;
use esm_core::router::{ObjectReader, ReadPosition};
use esm_core::store::Stores;
use esm_core::transform::{EventTransformer as _, TransformContext};
use esm_format::backup::{BackupDecoder, decode_manifest};
use esm_format::ndjson::LineReader;
use esm_format::{cell as cells, cloudevent};
use esm_jq::JqTransformer;
use esm_objectstore::{OpenOptions, open_with_client};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A line of an import, an export, a cell or a backup.
pub(crate) fn event(data: &[u8]) {
    let Ok(decoded) = cloudevent::decode(data) else {
        return;
    };
    let attributes = cloudevent::Attributes {
        source: decoded.source.as_deref(),
        subject: decoded.subject.as_deref(),
        sequence: decoded.sequence,
    };
    let mut line = Vec::new();
    cloudevent::encode(&decoded.event, &attributes, &mut line);
    let again = cloudevent::decode(&line).expect("what was encoded is decoded");
    assert_eq!(again, decoded, "an event is another after a round trip");
}

/// A cell of a stream.
pub(crate) fn cell(data: &[u8]) {
    let stream = StreamId::new("order-7.aaaa").expect("the id is valid");
    let header = cells::decode_header(data, &stream);
    let Ok(decoded) = cells::decode(data, &stream) else {
        return;
    };
    assert_eq!(header.expect("a cell has a header"), decoded.header);
    let encoded = cells::encode(&decoded, &stream).expect("a decoded cell is encoded");
    let again = cells::decode(&encoded, &stream).expect("what was encoded is decoded");
    assert_eq!(again, decoded, "a cell is another after a round trip");
}

/// A backup: the manifest, a line end, the file of sections, a NUL, the file of events. Also a file
/// of lines, plain or compressed.
pub(crate) fn backup(data: &[u8]) {
    block_on(async {
        if let Ok(mut lines) = LineReader::open(std::io::Cursor::new(data.to_vec()), 1 << 16).await
        {
            while let Ok(Some(_)) = lines.next().await {}
        }
        let (manifest, files) = halves(data, b'\n');
        let (sections, events) = halves(files, 0);
        let Ok(manifest) = decode_manifest(manifest) else {
            return;
        };
        if let Ok(mut decoder) = BackupDecoder::new(manifest, events, sections) {
            while let Ok(Some(_)) = decoder.next().await {}
        }
    });
}

/// The body of a record, or a saved plan.
pub(crate) fn record(data: &[u8]) {
    json::<ObjectDocument>(data);
    json::<JournalRecord>(data);
    json::<ControlRecord>(data);
    json::<SettingsChange>(data);
    json::<MigrationPlan>(data);
}

fn json<T: DeserializeOwned + Serialize>(data: &[u8]) {
    if let Ok(decoded) = serde_json::from_slice::<T>(data) {
        let encoded = serde_json::to_vec(&decoded).expect("a decoded record is encoded");
        serde_json::from_slice::<T>(&encoded).expect("what was encoded is decoded");
    }
}

/// What is written on a command line: ids, addresses, limits.
pub(crate) fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(id) = text.parse::<ObjectId>() {
        assert_eq!(id.to_string().parse().ok(), Some(id));
    }
    if let Ok(id) = text.parse::<MigrationId>() {
        assert_eq!(id.to_string().parse().ok(), Some(id));
    }
    if let Ok(id) = text.parse::<StreamId>() {
        assert_eq!(id.to_string().parse().ok(), Some(id));
    }
    let _ = text.parse::<esm_core::migration::Limit>();
    let _ = esm_core::event::is_rfc3339(text);
    let _ = esm_objectstore::is_local(text);
}

/// A command line: arguments with a line end behind each, and the name of no program; a NUL, the text
/// of the user's configuration file. A value of an option is parsed as the option does; options that
/// exclude each other are refused.
pub(crate) fn arguments(data: &[u8]) {
    let (data, config) = halves(data, 0);
    let config = String::from_utf8_lossy(config);
    let given = data.split(|byte| *byte == b'\n');
    // other systems have no arguments of any bytes
    let given = given.map(|argument| OsString::from(&*String::from_utf8_lossy(argument)));
    let line: Vec<OsString> = std::iter::once("esm".into()).chain(given).collect();
    // the same again: it depends on nothing but its text
    let parses = |line| esm_cli::parses(line, &config);
    assert_eq!(parses(line.clone()), parses(line));
}

/// A jq program, a NUL, the payload of the event that it transforms.
pub(crate) fn jq(data: &[u8]) {
    let (program, payload) = halves(data, 0);
    let Ok(program) = std::str::from_utf8(program) else {
        return;
    };
    let Ok(program) = JqTransformer::compile("fuzz.jq", program) else {
        return;
    };
    let program = program.max_steps(10_000).max_made(1 << 20);
    let (id, event_type) = (EventId::new("1"), EventType::new("T"));
    let (Ok(id), Ok(event_type), Ok(object)) = (id, event_type, "o/1".parse::<ObjectId>()) else {
        return;
    };
    let event = Event::new(id, event_type, payload.to_vec());
    let context = TransformContext::new(&object, Revision::START);
    // the same again: a program has one result
    let [first, again] = [(); 2].map(|()| program.transform(&event, &context));
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}

/// The files of a store, one of which is replaced.
#[derive(Debug)]
pub(crate) struct Template(BTreeMap<String, Vec<u8>>);

impl Template {
    /// The store that an early version wrote.
    ///
    /// # Panics
    /// If its archive is damaged.
    pub(crate) fn of_an_early_version() -> Self {
        const ARCHIVE: &[u8] =
            include_bytes!("../crates/esm-cli/tests/fixtures/store-0.1/store.tar.zst");
        let mut archive = tar::Archive::new(zstd::Decoder::new(ARCHIVE).expect("zstd data"));
        let mut files = BTreeMap::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").into_owned();
            let name = path.iter().skip(1).map(|part| part.to_string_lossy());
            let name = name.collect::<Vec<_>>().join("/");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("a file");
            if entry.header().entry_type().is_file() {
                files.insert(name, content);
            }
        }
        assert!(files.contains_key("esm.json"), "no store in the archive");
        Self(files)
    }

    /// The inputs of [`store`] that replace each file by what it is.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.values().zip(0_u16..).map(|(content, index)| {
            let mut seed = index.to_be_bytes().to_vec();
            seed.extend(content);
            seed
        })
    }
}

/// A store with one file that has another content: the first two bytes choose the file. Everything
/// that reads is run on it.
pub(crate) fn store(template: &Template, data: &[u8]) {
    let Some((file, content)) = data.split_first_chunk() else {
        return;
    };
    let replaced = usize::from(u16::from_be_bytes(*file)) % template.0.len();
    block_on(async {
        let client = Arc::new(InMemory::new());
        for (index, (name, original)) in template.0.iter().enumerate() {
            let content = if index == replaced { content } else { original };
            let key = Key::from(name.as_str());
            let put = client.put(&key, content.to_vec().into());
            put.await.expect("memory takes every file");
        }
        let options = OpenOptions::new().read_only();
        let Ok(store) = open_with_client(client, "", options).await else {
            return;
        };
        read_all(&store).await;
    });
}

/// More than any seed has: what is read of a damaged store ends.
const MOST: usize = 10_000;

async fn read_all(store: &esm_objectstore::Store) {
    let (records, stores) = (store.records(), Stores::new(store.event_store()));
    let reader = ObjectReader::new(Arc::clone(&records), stores.clone());
    let objects = reader.documents().objects(None).take(MOST);
    let objects: Vec<ObjectId> = objects
        .filter_map(async |object| object.ok())
        .collect()
        .await;
    for object in &objects {
        let _ = reader.load(object).await;
        let events = reader.read(object, ReadPosition::Start).take(MOST);
        let _ = events.try_for_each(|_| std::future::ready(Ok(()))).await;
    }
    let service = MigrationService::new(stores, records, store.locks());
    let migrations = service.migrations().take(MOST);
    let _ = migrations
        .try_for_each(|_| std::future::ready(Ok(())))
        .await;
    let _ = store.locks().list().await;
    let backups = store.backups();
    let manifests = backups.list().take(MOST);
    let _ = manifests.try_for_each(|_| std::future::ready(Ok(()))).await;
}

fn halves(data: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == separator) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work);
}
