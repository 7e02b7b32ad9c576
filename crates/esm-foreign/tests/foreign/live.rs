//! Applications that continue to append by the native store's own client while their stream moves:
//! nothing that was acknowledged to them is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use esm_core::clock::Environment;
use esm_core::event::Event;
use esm_core::migration::CutoverOptions;
use esm_core::router::{ExpectedRevision, ObjectClient};
use esm_core::store::Close;
use esm_core::transform::Mapper;
use esm_testkit::faults::FaultPlan;
use esm_testkit::observe::History;
use tokio::task::JoinSet;

use super::fixture::{event, rules};
use super::kurrent::{Adapter, Expected, Kurrent, NEW, Refused, data_of};
use super::migration::{SOURCE, World};

/// How long a writer thinks between two appends, at first.
const THOUGHT: Duration = Duration::from_millis(60);

/// An application's own writer: it knows the native client, and what a Close is.
struct NativeWriter {
    kurrent: Kurrent,
    stream: String,
    /// Number of entries that it knows of.
    count: u64,
    /// Closes that it followed.
    followed: u64,
}

impl NativeWriter {
    fn append(&mut self, event: &Event) {
        loop {
            let revision = self.count.checked_sub(1);
            let expected = revision.map_or(Expected::NoStream, Expected::Revision);
            let events = vec![data_of(event)];
            match self.kurrent.append(NEW, &self.stream, expected, events) {
                Ok(count) => {
                    self.count = count;
                    return;
                }
                Err(Refused::WrongExpectedVersion { .. }) => self.reload(),
                Err(Refused::AccessDenied) => panic!("a writer that looks for a Close may write"),
            }
        }
    }

    fn reload(&mut self) {
        while let Some(last) = self.kurrent.last(&self.stream) {
            self.count = last.revision + 1;
            if last.event.event_type != esm_foreign::CLOSE {
                return;
            }
            let close: Close = serde_json::from_slice(&last.event.data).unwrap();
            self.stream = close.target.unwrap().stream.as_str().to_owned();
            self.followed += 1;
        }
    }
}

/// What writers share.
#[derive(Clone)]
struct Shared {
    history: History,
    stop: Arc<AtomicBool>,
    /// Appends that were acknowledged.
    acknowledged: Arc<AtomicU64>,
    environment: Environment,
    /// By the environment's clock.
    began: Duration,
}

impl Shared {
    fn event(&self, writer: u64, n: u64, event_type: &str) -> Event {
        let id = uuid::Uuid::from_u64_pair(writer + 1, n);
        event(&id.to_string(), event_type)
    }

    fn acknowledge(&self, attempt: esm_testkit::observe::Attempted) {
        attempt.acknowledged();
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until this many more appends were acknowledged, while all writers are at work.
    async fn more(&self, appends: u64, writers: &mut JoinSet<u64>) {
        let wanted = self.acknowledged.load(Ordering::SeqCst) + appends;
        let enough = async {
            while self.acknowledged.load(Ordering::SeqCst) < wanted {
                self.environment.clock.sleep(THOUGHT).await;
            }
        };
        tokio::select! {
            () = enough => {}
            ended = writers.join_next() => panic!("a writer has ended: {ended:?}"),
        }
    }

    /// Pauses between two appends, the longer the longer everything takes: however busy the machine is,
    /// a Close finally finds no append in its way.
    async fn think(&self) {
        let clock = &self.environment.clock;
        let so_far = clock.monotonic() - self.began;
        clock.sleep(THOUGHT + so_far / 50).await;
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

async fn write_natively(shared: Shared, kurrent: Kurrent, writer: u64) -> u64 {
    let mut native = NativeWriter {
        kurrent,
        stream: SOURCE.to_owned(),
        count: 0,
        followed: 0,
    };
    let types = ["Keep", "Old", "Keep"];
    for n in 0.. {
        if shared.stopped() {
            break;
        }
        // code that looks for a Close is new code: behind it, it writes the new schema
        let event_type = match native.followed {
            0 => types[usize::try_from(n % 3).unwrap()],
            _ => "Keep",
        };
        let event = shared.event(writer, n, event_type);
        let attempt = shared.history.begin(vec![event.clone()]);
        native.append(&event);
        shared.acknowledge(attempt);
        shared.think().await;
    }
    native.followed
}

async fn write_through_esm(
    shared: Shared,
    client: ObjectClient,
    object: esm_core::id::ObjectId,
    writer: u64,
) -> u64 {
    for n in 0.. {
        if shared.stopped() {
            break;
        }
        let event = shared.event(writer, n, "Keep");
        let attempt = shared.history.begin(vec![event.clone()]);
        let appended = client
            .append(&object, ExpectedRevision::Any, vec![event])
            .await;
        appended.unwrap();
        shared.acknowledge(attempt);
        shared.think().await;
    }
    0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_the_native_client_and_of_esm_go_on_through_two_migrations() {
    const NATIVE: u64 = 4;
    let world = World::new(Adapter::new, &["Old"]).await;
    let history = History::new();
    history.begin(world.read(&[]).await).acknowledged();
    let environment = Environment::system();
    let shared = Shared {
        began: environment.clock.monotonic(),
        history,
        stop: Arc::default(),
        acknowledged: Arc::default(),
        environment,
    };
    let mut writers = JoinSet::new();
    for writer in 0..NATIVE {
        writers.spawn(write_natively(
            shared.clone(),
            world.kurrent.clone(),
            writer,
        ));
    }
    let (client, object) = (world.client(9, &[]).await, world.object.clone());
    writers.spawn(write_through_esm(
        shared.clone(),
        client,
        object.clone(),
        NATIVE,
    ));

    shared.more(100, &mut writers).await;
    let service = world.migrator(4, &FaultPlan::new().actor("migrator")).await;
    let service = service.with_environment(Environment::system());
    // five writers of one object, in memory, are faster than most Closes (R6)
    let patient = CutoverOptions::default().attempts(100_000);
    let first = service.migrate(object.clone()).transform(rules());
    let first = first.cutover(patient);
    let first = first.execute().await.unwrap();
    assert!(first.is_success(), "{first:?}");
    shared.more(60, &mut writers).await;
    let second = service.migrate(object.clone()).cutover(patient);
    let second = second.execute().await.unwrap();
    assert!(second.is_success(), "{second:?}");
    shared.more(60, &mut writers).await;
    shared.stop.store(true, Ordering::SeqCst);
    let followed = writers.join_all().await;
    assert_eq!(
        followed.iter().filter(|n| **n == 2).count(),
        4,
        "{followed:?}"
    );

    let found = world.read(&[]).await;
    assert!(found.len() > 220);
    let mapper = Mapper::new(Arc::new(rules()));
    let checked = shared.history.check_transformed(&found, &object, &mapper);
    assert_eq!(checked, Ok(()));
    let document = world.storage.document(&object).await.unwrap();
    assert_eq!(document.terminated.len(), 2);
}
