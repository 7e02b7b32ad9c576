//! The suite of versioned records: see [`records_conformance!`](crate::records_conformance).
//!
//! ```
//! # struct Mine(esm_testkit::memory::MemoryRecords);
//! # #[async_trait::async_trait]
//! # impl esm_testkit::conformance::RecordsHarness for Mine {
//! #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::Records> {
//! #         std::sync::Arc::new(self.0.clone())
//! #     }
//! # }
//! use esm_testkit::conformance::{records, run_case};
//! use esm_testkit::memory::MemoryRecords;
//!
//! // `Mine` is a `RecordsHarness`: its documentation shows one
//! for case in records::CASES {
//!     let mine = Mine(MemoryRecords::new());
//!     let verdict = run_case(async { (case.run)(&mine).await });
//!     verdict.unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
//! }
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use esm_core::ErrorKind;
use esm_core::id::{ObjectId, ObjectKey, ObjectName};
use esm_core::store::{Record, RecordCollection, RecordKey, Records};
use futures::TryStreamExt as _;

use super::fixtures::{migration, odd_names, present};
use super::race::race;
use super::verdict::{ensure, ensure_eq, ensure_err};
use super::{Failure, RecordsHarness, Verdict};

crate::__records_cases!(__conformance_table!(dyn RecordsHarness));

/// The list of cases, handed to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __records_cases {
    ($then:ident!($($arguments:tt)*)) => {
        $crate::$then! { ($($arguments)*) [
            a_missing_record_is_none
            versions_are_kept
            a_taken_number_conflicts
            a_gap_is_refused
            the_newest_is_exact_for_everybody
            a_fresh_handle_finds_a_far_version
            one_of_many_puts_wins
            no_update_is_lost
            a_call_that_is_not_polled_holds_up_no_other
            bodies_survive
            keys_do_not_collide
            collections_list_each_key_once
        ] }
    };
}

/// One `#[test]` per case of the records' suite, each with its own harness.
///
/// Takes an expression that makes a [`RecordsHarness`]; it may await.
///
/// ```
/// # struct Mine(esm_testkit::memory::MemoryRecords);
/// # #[async_trait::async_trait]
/// # impl esm_testkit::conformance::RecordsHarness for Mine {
/// #     async fn open(&self) -> std::sync::Arc<dyn esm_core::store::Records> {
/// #         std::sync::Arc::new(self.0.clone())
/// #     }
/// # }
/// use esm_testkit::memory::MemoryRecords;
///
/// // `Mine` is a `RecordsHarness`: its documentation shows one
/// esm_testkit::records_conformance!(Mine(MemoryRecords::new()));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! records_conformance {
    ($harness:expr) => {
        $crate::__records_cases!(__conformance_tests!(records, $harness));
    };
}

const RACERS: usize = 16;

/// Calls that are begun and not polled.
const BEGUN: usize = 64;

/// After this a call is held up for certain, on a slow server too.
const PATIENCE: Duration = Duration::from_secs(30);

fn document() -> esm_core::Result<RecordKey> {
    Ok(RecordKey::Document("order/123".parse()?))
}

fn record(number: u64, body: &'static str) -> Record {
    Record {
        number,
        body: Bytes::from_static(body.as_bytes()),
    }
}

async fn listed(
    records: &dyn Records,
    collection: RecordCollection,
) -> Result<Vec<RecordKey>, Failure> {
    let mut keys: Vec<_> = records.list(collection).try_collect().await?;
    keys.sort();
    Ok(keys)
}

/// Nothing can be read before the first put.
pub async fn a_missing_record_is_none(harness: &dyn RecordsHarness) -> Verdict {
    let records = harness.open().await;
    for key in [
        document()?,
        RecordKey::Journal(migration()),
        RecordKey::Index,
        RecordKey::Control(migration()),
        RecordKey::Progress(migration()),
        RecordKey::KnownStores,
    ] {
        ensure_eq!(
            records.latest(&key).await?,
            None,
            "newest version of {key:?}"
        );
        ensure_eq!(records.get(&key, 0).await?, None, "version 0 of {key:?}");
        ensure_eq!(
            records.get(&key, u64::MAX).await?,
            None,
            "a far version of {key:?}"
        );
    }
    ensure_eq!(
        listed(&*records, RecordCollection::Journals).await?,
        [],
        "journals"
    );
    Ok(())
}

/// Guarantees 2 and 3: every handle can always read every version.
pub async fn versions_are_kept(harness: &dyn RecordsHarness) -> Verdict {
    let (writer, key) = (harness.open().await, document()?);
    for (number, body) in (0..).zip(["a", "b", "b", ""]) {
        writer.put(&key, number, Bytes::from(body)).await?;
    }
    for reader in [writer, harness.open().await] {
        for (number, body) in (0..).zip(["a", "b", "b", ""]) {
            let found = reader.get(&key, number).await?;
            ensure_eq!(found, Some(record(number, body)), "version {number}");
        }
        ensure_eq!(reader.get(&key, 4).await?, None, "version 4 of 4");
        ensure_eq!(
            reader.latest(&key).await?,
            Some(record(3, "")),
            "newest version"
        );
    }
    Ok(())
}

/// Guarantee 1: a put of a taken number fails with `Conflict`, and nothing changes.
pub async fn a_taken_number_conflicts(harness: &dyn RecordsHarness) -> Verdict {
    let (one, two, key) = (harness.open().await, harness.open().await, document()?);
    one.put(&key, 0, Bytes::from("first")).await?;
    one.put(&key, 1, Bytes::from("second")).await?;
    for records in [&one, &two] {
        for number in [0, 1] {
            let answer = records.put(&key, number, Bytes::from("other")).await;
            ensure_err!(
                answer,
                ErrorKind::Conflict { .. },
                "a put of the taken {number}"
            );
        }
    }
    ensure_eq!(
        two.get(&key, 0).await?,
        Some(record(0, "first")),
        "version 0"
    );
    ensure_eq!(
        two.latest(&key).await?,
        Some(record(1, "second")),
        "newest version"
    );
    Ok(())
}

/// Guarantee 2: a put of a number that is not the next fails with `Conflict`, and writes nothing.
pub async fn a_gap_is_refused(harness: &dyn RecordsHarness) -> Verdict {
    let (records, key) = (harness.open().await, document()?);
    let answer = records.put(&key, 1, Bytes::from("x")).await;
    ensure_err!(answer, ErrorKind::Conflict { .. }, "a put of 1 before 0");
    ensure_eq!(
        records.latest(&key).await?,
        None,
        "newest version after a refused put"
    );
    records.put(&key, 0, Bytes::from("a")).await?;
    for number in [2, 3, 100] {
        let answer = records.put(&key, number, Bytes::from("x")).await;
        ensure_err!(
            answer,
            ErrorKind::Conflict { .. },
            "a put of {number} after 0"
        );
        ensure_eq!(records.get(&key, number).await?, None, "version {number}");
    }
    ensure_eq!(
        records.latest(&key).await?,
        Some(record(0, "a")),
        "newest version"
    );
    Ok(())
}

/// Guarantee 4: no handle sees an old version as the newest, whichever handle put last.
pub async fn the_newest_is_exact_for_everybody(harness: &dyn RecordsHarness) -> Verdict {
    let (one, two, key) = (harness.open().await, harness.open().await, document()?);
    for number in 0..40 {
        let (writer, reader) = match number % 3 {
            0 => (&two, &one),
            _ => (&one, &two),
        };
        let body = Bytes::from(format!("version {number}"));
        writer.put(&key, number, body.clone()).await?;
        let wanted = Some(Record { number, body });
        ensure_eq!(reader.latest(&key).await?, wanted, "newest seen by another");
        ensure_eq!(
            writer.latest(&key).await?,
            wanted,
            "newest seen by its writer"
        );
    }
    Ok(())
}

/// Guarantee 4, for a process that has not read the record before.
pub async fn a_fresh_handle_finds_a_far_version(harness: &dyn RecordsHarness) -> Verdict {
    let (records, key) = (harness.open().await, RecordKey::Journal(migration()));
    for number in 0..150_u64 {
        let body = Bytes::from(number.to_string());
        records.put(&key, number, body.clone()).await?;
        if [0, 1, 2, 7, 63, 64, 65, 127, 128, 149].contains(&number) {
            let newest = harness.open().await.latest(&key).await?;
            ensure_eq!(
                newest,
                Some(Record { number, body }),
                "newest seen by a fresh handle"
            );
        }
    }
    Ok(())
}

/// Guarantee 1: of 16 puts of the same number one succeeds, and that one is stored.
pub async fn one_of_many_puts_wins(harness: &dyn RecordsHarness) -> Verdict {
    let mut handles = Vec::new();
    for _ in 0..RACERS {
        handles.push(harness.open().await);
    }
    let key = document()?;
    for number in 0..8 {
        let answers = race(RACERS, |racer| {
            let (records, key) = (Arc::clone(&handles[racer]), key.clone());
            async move {
                let body = Bytes::from(format!("by {racer}"));
                records.put(&key, number, body.clone()).await.map(|()| body)
            }
        })
        .await;
        let won: Vec<_> = answers.iter().flatten().collect();
        ensure_eq!(won.len(), 1, "winners among {RACERS}");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let conflict = matches!(error.kind(), ErrorKind::Conflict { .. });
            ensure!(
                conflict,
                "a loser got another error than Conflict: {error:?}"
            );
        }
        let newest = present(handles[0].latest(&key).await?, "the winner's version")?;
        ensure_eq!(
            (newest.number, &newest.body),
            (number, won[0]),
            "winner's version"
        );
    }
    Ok(())
}

/// Guarantees 1 to 4 together: a counter that eight increment ten times each ends at 80.
pub async fn no_update_is_lost(harness: &dyn RecordsHarness) -> Verdict {
    let mut handles = Vec::new();
    for _ in 0..8 {
        handles.push(harness.open().await);
    }
    let key = document()?;
    let answers = race(8, |racer| {
        let (records, key) = (Arc::clone(&handles[racer]), key.clone());
        async move {
            for _ in 0..10 {
                increment(&*records, &key).await?;
            }
            Ok::<_, Failure>(())
        }
    })
    .await;
    answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let newest = handles[0].latest(&key).await?;
    ensure_eq!(newest, Some(record(79, "80")), "counter");
    Ok(())
}

async fn increment(records: &dyn Records, key: &RecordKey) -> Verdict {
    for _ in 0..10_000 {
        let newest = records.latest(key).await?;
        let (next, count) = match &newest {
            None => (0, 0),
            Some(found) => {
                let text = String::from_utf8_lossy(&found.body);
                let count = text
                    .parse::<u64>()
                    .map_err(|e| Failure::new(e.to_string()))?;
                (found.number + 1, count)
            }
        };
        let body = Bytes::from((count + 1).to_string());
        // gives other tasks a chance between the read and the write, however fast the storage is
        tokio::task::yield_now().await;
        match records.put(key, next, body).await {
            Ok(()) => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict { .. }) => {
                tokio::task::yield_now().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new("concurrent puts won 10,000 times in a row"))
}

/// Calls that were begun and are not polled, as those of a buffered stream while its consumer works,
/// hold up no other.
pub async fn a_call_that_is_not_polled_holds_up_no_other(harness: &dyn RecordsHarness) -> Verdict {
    let (records, key) = (harness.open().await, document()?);
    records.put(&key, 0, "0".into()).await?;
    let mut begun: Vec<_> = (0..BEGUN).map(|_| records.get(&key, 0)).collect();
    for call in &mut begun {
        let _ = futures::poll!(call);
    }
    let others = async {
        ensure_eq!(records.latest(&key).await?, Some(record(0, "0")), "newest");
        records.put(&key, 1, "1".into()).await?;
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, others).await {
        Ok(verdict) => verdict,
        Err(_) => Err(Failure::new(format!(
            "calls wait for {BEGUN} others, which are not polled"
        ))),
    }
}

/// A body is preserved to the byte.
pub async fn bodies_survive(harness: &dyn RecordsHarness) -> Verdict {
    let (records, key) = (harness.open().await, RecordKey::Index);
    let bodies = [
        Bytes::new(),
        (0..=255).collect(),
        Bytes::from_static(b"{ \"a\": 1.0 }\n"),
        Bytes::from(vec![b'x'; 1 << 20]),
        Bytes::from_static(b"\xff\xfe\n\n"),
    ];
    for (number, body) in (0..).zip(&bodies) {
        records.put(&key, number, body.clone()).await?;
    }
    let other = harness.open().await;
    for (number, body) in (0..).zip(bodies) {
        let found = present(other.get(&key, number).await?, "a version")?;
        ensure!(found.body == body, "body {number} has changed");
    }
    Ok(())
}

/// Keys of different kinds and of objects with similar names.
fn look_alikes() -> Result<Vec<RecordKey>, Failure> {
    let mut objects: BTreeSet<ObjectId> = BTreeSet::new();
    for text in [
        "a-b/c", "a/b-c", "a/b/c", "A/b-c", "a/B-C", "a/b-c/", "a//b",
    ] {
        objects.insert(text.parse()?);
    }
    for name in odd_names() {
        objects.insert(ObjectId::new(
            ObjectName::new("odd")?,
            ObjectKey::new(&name)?,
        ));
        if let Ok(name) = ObjectName::new(&name) {
            objects.insert(ObjectId::new(name, ObjectKey::new("odd")?));
        }
    }
    let documents = objects.iter().cloned().map(RecordKey::Document);
    let mut keys: Vec<_> = documents.collect();
    keys.extend(objects.into_iter().map(RecordKey::Routing));
    keys.extend([migration(), migration()].map(RecordKey::Journal));
    keys.push(RecordKey::Index);
    Ok(keys)
}

/// Every valid name works, and no two keys are one record.
pub async fn keys_do_not_collide(harness: &dyn RecordsHarness) -> Verdict {
    let (records, keys) = (harness.open().await, look_alikes()?);
    for key in &keys {
        ensure_eq!(records.latest(key).await?, None, "a fresh record {key:?}");
        records.put(key, 0, Bytes::from(format!("{key:?}"))).await?;
    }
    let other = harness.open().await;
    for key in &keys {
        let found = present(other.latest(key).await?, "a record")?;
        ensure_eq!(
            found.body,
            Bytes::from(format!("{key:?}")),
            "body of {key:?}"
        );
    }
    Ok(())
}

/// Lists each key once, of the right kind and name, however many versions it has.
pub async fn collections_list_each_key_once(harness: &dyn RecordsHarness) -> Verdict {
    let (records, keys) = (harness.open().await, look_alikes()?);
    for key in &keys {
        records.put(key, 0, Bytes::from("a")).await?;
        records.put(key, 1, Bytes::from("b")).await?;
    }
    let wanted = |belongs: &dyn Fn(&RecordKey) -> bool| {
        let mut wanted: Vec<_> = keys.iter().filter(|key| belongs(key)).cloned().collect();
        wanted.sort();
        wanted
    };
    let other = harness.open().await;
    let documents = wanted(&|key| matches!(key, RecordKey::Document(_)));
    let found = listed(&*other, RecordCollection::Documents(None)).await?;
    ensure_eq!(found, documents, "all documents");
    let journals = wanted(&|key| matches!(key, RecordKey::Journal(_)));
    let found = listed(&*other, RecordCollection::Journals).await?;
    ensure_eq!(found, journals, "all journals");
    for name in ["a", "A", "odd", "a-b", "nobody"].map(ObjectName::new) {
        let name = name?;
        let named =
            wanted(&|key| matches!(key, RecordKey::Document(object) if *object.name() == name));
        let found = listed(&*other, RecordCollection::Documents(Some(name.clone()))).await?;
        ensure_eq!(found, named, "documents of {name:?}");
    }
    Ok(())
}
