//! A migration whose process ends at each of its writes, before and after the server has it.

use std::cmp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use esm_core::Result;
use esm_core::protocol::plan::PlannedMigration;
use esm_core::store::OnRetired;
use esm_postgres::{RewriteStatus, Running};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{Bench, By, options, rows, texts};
use crate::server::{Place, places, tables_of};

/// Not idempotent: an event that is transformed twice shows it.
const BY: By = By {
    name: "counted",
    change: |event| {
        event.schema_version.0 += 1;
        let text = String::from_utf8(event.payload.to_vec()).unwrap();
        event.payload = format!("{{\"again\": {text}}}").into();
    },
};

/// Where a process ends: at the writing message of this number, before or after the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    message: usize,
    is_answered: bool,
}

#[derive(Debug)]
struct Plan {
    cut: Cut,
    seen: Mutex<usize>,
    made: Notify,
    is_made: AtomicBool,
}

impl Plan {
    fn make(&self) {
        self.is_made.store(true, Ordering::SeqCst);
        self.made.notify_one();
    }
}

/// In front of a server. From the cut on, nobody gets through. Ends when dropped.
struct Cutter {
    address: String,
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cutter {
    async fn before(place: &Place, cut: Cut) -> Self {
        let (user, rest) = place.address.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Plan {
            cut,
            seen: Mutex::new(0),
            made: Notify::new(),
            is_made: AtomicBool::new(false),
        });
        let (shared, server) = (Arc::clone(&plan), server.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (plan, server) = (Arc::clone(&shared), server.clone());
                tokio::spawn(async move {
                    // a broken connection is what is tested, not a failure of the test
                    let _ = serve(client, &server, &plan).await;
                });
            }
        });
        Self {
            address: format!("{user}@127.0.0.1:{port}/{database}"),
            plan,
            task,
        }
    }
}

/// What becomes of what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    Lost,
    Unanswered,
}

/// How a transaction that writes begins. One that only reads changes nothing when it is cut.
const WRITES: &[u8] = b"BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE";

fn fate(plan: &Plan, bytes: &[u8]) -> Fate {
    let begins =
        bytes.first() == Some(&b'Q') && bytes.get(5..).is_some_and(|text| text.starts_with(WRITES));
    let mut seen = plan.seen.lock().unwrap();
    let number = *seen;
    *seen += usize::from(begins);
    match (number.cmp(&plan.cut.message), begins) {
        (cmp::Ordering::Equal, true) if plan.cut.is_answered => Fate::Unanswered,
        (cmp::Ordering::Equal, true) | (cmp::Ordering::Greater, _) => Fate::Lost,
        _ => Fate::Passes,
    }
}

async fn serve(mut client: TcpStream, server: &str, plan: &Plan) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut is_cut = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                match fate(plan, bytes) {
                    _ if is_cut => {}
                    Fate::Passes => {}
                    Fate::Unanswered => is_cut = true,
                    Fate::Lost => {
                        plan.make();
                        return Ok(());
                    }
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut answered) => {
                let bytes = &answered[..read?];
                if is_cut || bytes.is_empty() {
                    // the server answers when the transaction is committed
                    plan.make();
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

impl Place {
    async fn through(&self, cutter: &Cutter) -> Result<Bench> {
        let settings = self.settings_at(&cutter.address)?;
        let database = esm_postgres::Database::connect(settings).await?;
        let store = esm_postgres::LayoutStore::open(database).await?;
        let in_place = esm_postgres::InPlace::new(&store, options("cut"));
        let by = in_place.transformer(Arc::new(BY));
        Ok(Bench {
            store,
            in_place,
            by,
        })
    }
}

/// Runs something until it ends or its process would; returns whether it was cut.
async fn until_cut(cutter: &Cutter, work: impl Future<Output = Result<()>>) -> bool {
    let ended = tokio::select! {
        () = cutter.plan.made.notified() => return true,
        ended = work => ended,
    };
    // the process may notice the cut before it ends
    let was_cut = cutter.plan.is_made.load(Ordering::SeqCst);
    assert!(was_cut || ended.is_ok(), "{ended:?}");
    was_cut
}

async fn begin_again(place: &Place) {
    place
        .run("DROP SCHEMA IF EXISTS esm_in_place CASCADE; DROP TABLE IF EXISTS events")
        .await;
    place.run(tables_of("cqrs-es")).await;
}

/// Begins a migration that refuses old code, so that its trigger is created and dropped too.
async fn begin(bench: &Bench) -> Result<Running> {
    let refuses = |planned: &mut PlannedMigration| planned.on_retired = Some(OnRetired::Refuse);
    bench.begin_with(refuses).await
}

async fn migrate(bench: &Bench) -> Result<()> {
    let running = begin(bench).await?;
    running.rewrite().await?;
    assert!(running.settle(9).await?.is_done);
    running.end(true).await.map(drop)
}

/// Completes a migration that a process left as it is. A sweep would find nothing more.
async fn complete(place: &Place) {
    let bench = Bench::with(place, BY, options("cut")).await;
    let known = bench.in_place.migrations().await.unwrap();
    let running = match known.first() {
        None => begin(&bench).await.unwrap(),
        Some(known) if known.status == RewriteStatus::Finished => return,
        Some(known) => {
            let by = Arc::clone(&bench.by);
            bench.in_place.resume(known, by).await.unwrap()
        }
    };
    running.rewrite().await.unwrap();
    running.end(true).await.unwrap();
}

/// What is installed in the database: nothing, after the end and after an undo.
const INSTALLED: &str = "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'esm_%'
    UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'refuse_%'";

/// Writes that no run has as many of.
const MOST: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_ends_at_any_write_is_resumed_exactly() {
    let Some(place) = places().await.pop() else {
        return;
    };
    begin_again(&place).await;
    let before = rows(&place, "events").await;
    complete(&place).await;
    let after = rows(&place, "events").await;
    assert_ne!(before, after);
    let archived = "SELECT count(*) FROM esm_in_place.archive";
    let kept = texts(&place, archived).await;
    for is_answered in [false, true] {
        for message in 0..MOST {
            begin_again(&place).await;
            let cutter = Cutter::before(
                &place,
                Cut {
                    message,
                    is_answered,
                },
            )
            .await;
            let was_cut = until_cut(&cutter, async {
                migrate(&place.through(&cutter).await?).await
            })
            .await;
            drop(cutter);
            complete(&place).await;
            assert_eq!(
                rows(&place, "events").await,
                after,
                "{message} {is_answered}"
            );
            assert_eq!(
                texts(&place, archived).await,
                kept,
                "{message} {is_answered}"
            );
            assert!(
                texts(&place, INSTALLED).await.is_empty(),
                "{message} {is_answered}"
            );
            if !was_cut {
                assert!(message > 3, "only {message} messages");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_ends_at_any_write_is_continued_exactly() {
    let Some(place) = places().await.pop() else {
        return;
    };
    begin_again(&place).await;
    let before = rows(&place, "events").await;
    for is_answered in [false, true] {
        for message in 0..MOST {
            begin_again(&place).await;
            let bench = Bench::with(&place, BY, options("cut")).await;
            let running = begin(&bench).await.unwrap();
            running.rewrite().await.unwrap();
            running.settle(1).await.unwrap();
            running.end(false).await.unwrap();
            let cutter = Cutter::before(
                &place,
                Cut {
                    message,
                    is_answered,
                },
            )
            .await;
            let was_cut = until_cut(&cutter, async {
                let bench = place.through(&cutter).await?;
                let known = bench.in_place.migrations().await?.remove(0);
                let undone = bench.in_place.roll_back(&known, "test", None).await?;
                assert_eq!(undone.restored, 4);
                Ok(())
            })
            .await;
            drop(cutter);
            let known = bench.newest().await;
            if known.status != RewriteStatus::RolledBack {
                let undone = bench.in_place.roll_back(&known, "test", None).await;
                assert_eq!(undone.unwrap().left, 0, "{message} {is_answered}");
            }
            assert_eq!(
                rows(&place, "events").await,
                before,
                "{message} {is_answered}"
            );
            assert!(
                texts(&place, INSTALLED).await.is_empty(),
                "{message} {is_answered}"
            );
            if !was_cut {
                assert!(message > 3, "only {message} messages");
                break;
            }
        }
    }
}
