//! What is found when somebody else, or a bad disk, changed the storage.

use std::sync::Arc;
use std::time::Duration;

use esm_core::clock::{Clock as _, Environment};
use esm_core::id::{LockName, StreamId};
use esm_core::store::{
    Append, EventStore, LockAttempt, LockProvider, LockRequest, PageLimit, ReadFrom,
    RecordCollection, RecordKey, Tail,
};
use esm_core::{Error, ErrorKind, Result};
use esm_objectstore::OpenOptions;
use esm_testkit::{SteppedClock, event};
use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

#[derive(Clone)]
struct World {
    objects: Arc<InMemory>,
    stream: StreamId,
}

impl World {
    /// A stream of so many cells with one event each.
    async fn with_cells(count: usize) -> Self {
        let world = Self {
            objects: Arc::new(InMemory::new()),
            stream: StreamId::new("s").unwrap(),
        };
        let options = OpenOptions::new();
        esm_objectstore::open_or_create_with_client(Arc::clone(&world.objects) as _, "p", options)
            .await
            .unwrap();
        world.append(Tail::default(), count).await;
        world
    }

    async fn append(&self, mut tail: Tail, count: usize) -> Tail {
        let store = self.open().await;
        let environment = esm_core::clock::Environment::system();
        for _ in 0..count {
            let one = vec![event("1", "T").into()];
            let append = Append::events(environment.commit_id(), one);
            tail = store.append(&self.stream, &tail, append).await.unwrap();
        }
        tail
    }

    /// A process that has just started.
    async fn open(&self) -> Arc<dyn EventStore> {
        let options = OpenOptions::new();
        esm_objectstore::open_with_client(Arc::clone(&self.objects) as _, "p", options)
            .await
            .unwrap()
            .event_store()
    }

    fn key(&self, seq: u64) -> Path {
        Path::from(format!("p/streams/{}/c/{seq:020}", self.stream))
    }

    fn is_corrupt_at(&self, error: &Error, seq: u64) -> bool {
        let key = self.key(seq);
        *error.kind() == ErrorKind::Corrupt && error.to_string().contains(key.as_ref())
    }

    async fn bytes(&self, seq: u64) -> Vec<u8> {
        let object = self.objects.get(&self.key(seq)).await.unwrap();
        object.bytes().await.unwrap().to_vec()
    }

    async fn put(&self, key: &Path, bytes: impl Into<object_store::PutPayload>) {
        self.objects.put(key, bytes.into()).await.unwrap();
    }

    async fn tail(&self) -> Result<Tail> {
        self.open().await.tail(&self.stream).await
    }

    async fn read(&self) -> Result<usize> {
        let store = self.open().await;
        let page = store.read(&self.stream, ReadFrom::Seq(0), PageLimit::default());
        Ok(page.await?.cells.len())
    }
}

#[tokio::test]
async fn a_damaged_cell_is_named_with_its_key() {
    let world = World::with_cells(3).await;
    let good = world.bytes(2).await;
    let newer = String::from_utf8(good.clone()).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let damaged: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("truncated in its first line", good[..20].to_vec()),
        ("truncated in its body", good[..good.len() - 3].to_vec()),
        ("flipped", flipped),
        (
            "newer",
            newer
                .replace("{\"esm_cell\":1,", "{\"esm_cell\":9,")
                .into_bytes(),
        ),
        ("another's", world.bytes(1).await),
    ];
    for (what, bytes) in damaged {
        world.put(&world.key(2), bytes).await;
        let error = world.read().await.unwrap_err();
        assert!(world.is_corrupt_at(&error, 2), "{what}: {error}");
        // a damaged body is not read to find the end
        if !matches!(what, "flipped" | "truncated in its body") {
            let error = world.tail().await.unwrap_err();
            assert!(world.is_corrupt_at(&error, 2), "{what}: {error}");
        }
    }
    world.put(&world.key(2), good).await;
    assert_eq!(world.read().await.unwrap(), 3);
}

#[tokio::test]
async fn cells_that_do_not_follow_each_other_are_corrupt() {
    let (world, other) = (World::with_cells(3).await, World::with_cells(3).await);
    world.put(&world.key(1), other.bytes(1).await).await;
    let error = world.read().await.unwrap_err();
    assert!(world.is_corrupt_at(&error, 1), "{error}");
}

/// Both chains are sound by themselves: only the cells can say whose they are.
#[tokio::test]
async fn first_cells_of_two_streams_that_were_exchanged_are_corrupt() {
    let world = World::with_cells(1).await;
    let other = World {
        stream: StreamId::new("t").unwrap(),
        ..world.clone()
    };
    other.append(Tail::default(), 1).await;
    let (one, two) = (world.bytes(0).await, other.bytes(0).await);
    world.put(&world.key(0), two).await;
    other.put(&other.key(0), one).await;
    for damaged in [&world, &other] {
        for error in [
            damaged.read().await.unwrap_err(),
            damaged.tail().await.unwrap_err(),
        ] {
            assert!(damaged.is_corrupt_at(&error, 0), "{error}");
            assert!(
                error.to_string().contains("belongs to another stream"),
                "{error}"
            );
        }
    }
}

/// R14: absent below a later one is never the end.
#[tokio::test]
async fn an_absent_cell_below_a_later_one_is_gone() {
    let world = World::with_cells(5).await;
    for seq in [3, 0] {
        world.objects.delete(&world.key(seq)).await.unwrap();
        let error = world.read().await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Gone, "{error}");
        assert!(
            error.to_string().contains(world.key(seq).as_ref()),
            "{error}"
        );
    }
    let error = world.tail().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Gone, "{error}");
}

/// However far behind it the hole is, who has seen the later cell knows.
#[tokio::test]
async fn a_wide_hole_below_what_was_seen_is_gone() {
    let world = World::with_cells(40).await;
    let store = world.open().await;
    store.tail(&world.stream).await.unwrap();
    for seq in 5..35 {
        world.objects.delete(&world.key(seq)).await.unwrap();
    }
    let from = ReadFrom::Seq(5);
    let error = store
        .read(&world.stream, from, PageLimit::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Gone, "{error}");
}

#[tokio::test]
async fn a_hint_is_never_trusted() {
    let world = World::with_cells(200).await;
    let head = Path::from("p/streams/s/head");
    let hint = world
        .objects
        .get(&head)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(hint, "191\n");
    for hint in [
        "191",
        "0",
        "2",
        "199",
        "200",
        "100000",
        "18446744073709551615",
        "-1",
        "x",
        "",
    ] {
        world.put(&head, hint.to_owned()).await;
        assert_eq!(world.tail().await.unwrap().next_seq(), 200, "{hint:?}");
    }
    world.put(&head, vec![0xff, 0xfe]).await;
    assert_eq!(world.tail().await.unwrap().next_seq(), 200);
    world.objects.delete(&head).await.unwrap();
    assert_eq!(world.tail().await.unwrap().next_seq(), 200);
}

/// A hint is written behind its cell and removed before it: one that names an absent cell says that
/// the cell was lost.
#[tokio::test]
async fn cells_lost_from_the_end_up_to_the_hint_are_gone() {
    let world = World::with_cells(130).await;
    for seq in 100..130 {
        world.objects.delete(&world.key(seq)).await.unwrap();
    }
    let tail = world.tail().await.unwrap_err();
    let mut read = Ok(0);
    let store = world.open().await;
    for from in (0..110).step_by(16) {
        let page = store.read(&world.stream, ReadFrom::Seq(from), PageLimit::default());
        read = page.await.map(|page| page.cells.len());
        if read.is_err() {
            break;
        }
    }
    for error in [tail, read.unwrap_err()] {
        assert_eq!(error.kind(), &ErrorKind::Gone, "{error}");
        assert!(
            error.to_string().contains(world.key(127).as_ref()),
            "{error}"
        );
    }
    // without the hint nothing is known of what came behind
    let head = Path::from("p/streams/s/head");
    world.objects.delete(&head).await.unwrap();
    assert_eq!(world.tail().await.unwrap().next_seq(), 100);
}

/// R17: a paused writer may put a cell into what was discarded; discarding again removes it.
#[tokio::test]
async fn discarding_removes_what_a_paused_writer_left() {
    let world = World::with_cells(70).await;
    let zombie = world.tail().await.unwrap();
    let store = world.open().await;
    store.discard(&world.stream).await.unwrap();
    assert!(store.tail(&world.stream).await.unwrap().is_empty());
    let left: Vec<_> = world
        .objects
        .list(Some(&Path::from("p/streams")))
        .try_collect()
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");

    world.append(zombie, 1).await;
    store.discard(&world.stream).await.unwrap();
    store.discard(&world.stream).await.unwrap();
    let left: Vec<_> = world
        .objects
        .list(Some(&Path::from("p/streams")))
        .try_collect()
        .await
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// A process that knew the stream sees that it is gone, not what it remembers.
#[tokio::test]
async fn a_stream_discarded_by_another_process_is_empty() {
    let world = World::with_cells(3).await;
    let (one, other) = (world.open().await, world.open().await);
    one.tail(&world.stream).await.unwrap();
    other.discard(&world.stream).await.unwrap();
    let page = one.read(&world.stream, ReadFrom::Seq(0), PageLimit::default());
    assert!(page.await.unwrap().cells.is_empty());
    assert!(one.tail(&world.stream).await.unwrap().is_empty());
}

#[tokio::test]
async fn damaged_records_are_named_and_foreign_objects_are_left_alone() {
    let objects = Arc::new(InMemory::new());
    let open = || {
        esm_objectstore::open_or_create_with_client(
            Arc::clone(&objects) as _,
            "",
            OpenOptions::new(),
        )
    };
    let records = open().await.unwrap().records();
    // names that are cut in storage
    let long = format!("{}/{}", "Ä".repeat(200), "ключ ".repeat(50));
    let keys: Vec<RecordKey> = ["order/1", "order/2", "Order/1", "a/b/c", &long]
        .into_iter()
        .map(|object| RecordKey::Document(object.parse().unwrap()))
        .collect();
    for key in &keys {
        for number in 0..3 {
            records.put(key, number, "{}".into()).await.unwrap();
        }
    }
    for foreign in [
        "documents/.DS_Store",
        "documents/order/x/readme",
        "documents/Big/1/0",
    ] {
        objects.put(&Path::from(foreign), "x".into()).await.unwrap();
    }
    let list = |collection| records.list(collection).try_collect::<Vec<_>>();
    let mut all = list(RecordCollection::Documents(None)).await.unwrap();
    all.sort();
    let mut expected = keys.clone();
    expected.sort();
    assert_eq!(all, expected);
    let orders = RecordCollection::Documents(Some("order".try_into().unwrap()));
    assert_eq!(list(orders).await.unwrap().len(), 2);

    // an object whose first version is lost is not unknown
    let first = Path::from("documents/order/2/00000000000000000000");
    objects.delete(&first).await.unwrap();
    let lost = open().await.unwrap().records();
    let error = lost.latest(&keys[1]).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt);
    assert!(error.to_string().contains(first.as_ref()), "{error}");

    let key = Path::from("documents/order/1/00000000000000000002");
    objects.put(&key, "{\"esm_record\":1".into()).await.unwrap();
    let error = open()
        .await
        .unwrap()
        .records()
        .latest(&keys[0])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Corrupt);
    assert!(error.to_string().contains(key.as_ref()), "{error}");
}

/// A lock of which one object was cut to this length, and a process that has just started. The
/// lock was acquired, and renewed or released.
async fn cut_lock(
    object: &str,
    length: usize,
    release: bool,
) -> Option<(Arc<dyn LockProvider>, SteppedClock, LockRequest)> {
    let (objects, clock) = (Arc::new(InMemory::new()), SteppedClock::new());
    let open = || async {
        let environment = Environment {
            clock: Arc::new(clock.clone()),
            ..Environment::system()
        };
        let options = OpenOptions::new().with_environment(environment);
        let client = Arc::clone(&objects) as _;
        let store = esm_objectstore::open_or_create_with_client(client, "p", options).await;
        store.unwrap().locks()
    };
    let request = LockRequest {
        holder: "somebody".parse().unwrap(),
        lease: Duration::from_secs(60),
        migration: None,
        at: clock.now(),
        process: None,
    };
    let locks = open().await;
    let LockAttempt::Acquired(grant) = locks.try_acquire(&lock(), &request).await.unwrap() else {
        panic!("a fresh lock is held");
    };
    if release {
        locks.release(&grant).await.unwrap();
    } else {
        locks.renew(&grant).await.unwrap();
    }
    let key = Path::from(format!("p/locks/l/{object}"));
    let whole = objects.get(&key).await.unwrap().bytes().await.unwrap();
    if length >= whole.len() {
        return None;
    }
    objects
        .put(&key, whole.slice(..length).into())
        .await
        .unwrap();
    Some((open().await, clock, request))
}

fn lock() -> LockName {
    "l".parse().unwrap()
}

/// However short: it is seen, it expires like any other, and it can be broken.
#[tokio::test]
async fn a_damaged_lock_is_named_and_expires_and_can_be_broken() {
    const ACQUISITION: &str = "00000000000000000000";
    let mut length = 0;
    while let Some((locks, clock, request)) = cut_lock(ACQUISITION, length, false).await {
        let seen = locks.inspect(&lock()).await.unwrap().unwrap();
        let damage = seen.damage.as_deref().unwrap_or_default();
        assert!(damage.contains(ACQUISITION), "{length}: {damage}");
        assert!(seen.held);
        assert_eq!(locks.list().await.unwrap(), std::slice::from_ref(&seen));
        if length.is_multiple_of(2) {
            locks.break_lock(&lock(), seen.token).await.unwrap();
        } else {
            let attempt = locks.try_acquire(&lock(), &request).await.unwrap();
            assert!(matches!(attempt, LockAttempt::Held(_)), "{attempt:?}");
            clock.advance(Duration::from_secs(61));
        }
        let attempt = locks.try_acquire(&lock(), &request).await.unwrap();
        let LockAttempt::Acquired(grant) = attempt else {
            panic!("{length}: {attempt:?}");
        };
        assert!(grant.token > seen.token);
        locks.renew(&grant).await.unwrap();
        length += 7;
    }
    assert!(length > 100, "the acquisition is longer than {length}");
}

/// A heartbeat only informs: without it the lock expires.
#[tokio::test]
async fn a_damaged_heartbeat_blocks_nobody_longer_than_a_lease() {
    const HEARTBEAT: &str = "00000000000000000000.hb";
    for release in [false, true] {
        let mut length = 0;
        while let Some((locks, clock, request)) = cut_lock(HEARTBEAT, length, release).await {
            let seen = locks.inspect(&lock()).await.unwrap().unwrap();
            assert_eq!((seen.held, seen.damage), (true, None), "{length}");
            let attempt = locks.try_acquire(&lock(), &request).await.unwrap();
            assert!(matches!(attempt, LockAttempt::Held(_)), "{attempt:?}");
            clock.advance(Duration::from_secs(61));
            let attempt = locks.try_acquire(&lock(), &request).await.unwrap();
            assert!(matches!(attempt, LockAttempt::Acquired(_)), "{attempt:?}");
            length += 7;
        }
        assert!(length > 50, "the heartbeat is longer than {length}");
    }
}
