//! The sweeps' shorter form: a small migration with faults in its storage operations, of which every
//! so many are tried, on Azurite, with an observer that looks after every write. The same sweeps run
//! whole in memory, in esm-core, and whole here in `cargo xtask nightly`.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Request};
use esm_azure::OpenOptions;
use esm_testkit::containers::{self, Azurite};
use esm_testkit::sweep::{Place, Scenario, Sweep};
use esm_testkit::{Rule, Rules, events};
use tokio::runtime::{Handle, Runtime};

use crate::place::{connection, fresh_address};
use esm_core::backup::BackupOptions;

/// Sends requests in real time, while the run that they belong to is frozen: the time of a sweep
/// jumps ahead whenever it has nothing to do, and waiting for a server would look like that.
#[derive(Debug)]
struct InRealTime(Handle);

#[async_trait]
impl Policy for InRealTime {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let answered = async {
            let answer = next[0].send(context, request, &next[1..]).await?;
            // the body is a part of it
            let (status, headers, body) = answer.deconstruct();
            let body = body.collect().await?;
            Ok(AsyncRawResponse::from_bytes(status, headers, body))
        };
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| self.0.block_on(answered));
            sending.join().expect("sending does not panic")
        })
    }
}

fn scenario(azurite: Azurite, real_time: Handle) -> Scenario {
    let mut events = events("e", ["Kept", "Dropped", "Split"].into_iter().cycle());
    let cells = [2, 1, 2].map(|size| events.by_ref().take(size).collect());
    let rules = [("Dropped", Rule::Drop), ("Split", Rule::Split(2))];
    Scenario::new("order/1".parse().unwrap(), cells.to_vec())
        .transform(Rules::new(rules))
        .describe(|migration| {
            let migration = migration.cells(2, 1 << 20);
            migration.backup(BackupOptions::new().include_document())
        })
        .at(move || {
            let account = connection(&azurite, &azurite.url());
            let account = account.with_policy(Arc::new(InRealTime(real_time.clone())));
            async move {
                let address = fresh_address();
                let store =
                    esm_azure::open_or_create(&account, &address, OpenOptions::new()).await?;
                Ok(Place {
                    event_store: store.event_store(),
                    records: store.records(),
                    backups: store.backups(),
                    native_store: None,
                })
            }
        })
}

/// Does something with a sweep of that scenario.
fn on_azurite(sweep: impl FnOnce(Scenario) -> Sweep, run: impl FnOnce(Sweep)) {
    let real_time = Runtime::new().unwrap();
    let Some(azurite) = real_time.block_on(containers::azurite()) else {
        return;
    };
    run(sweep(scenario(azurite, real_time.handle().clone())));
}

fn swept(sweep: impl FnOnce(Scenario) -> Sweep, every: usize, name: &str) {
    on_azurite(sweep, |sweep| {
        let command = format!("cargo test -p esm-azure --test suite sweeps::{name}");
        let sweep = sweep.thinned().every(every).replayed_by(command);
        println!("{name}: {}", sweep.check());
    });
}

#[test]
fn crashes() {
    swept(Sweep::of_crashes, 83, "crashes");
}

#[test]
fn zombies() {
    swept(Sweep::of_zombies, 61, "zombies");
}

#[test]
fn writers() {
    swept(Sweep::of_writers, 19, "writers");
}

/// What is left then is a cell behind a gap, in a stream that nobody will read.
#[test]
fn a_copier_that_wakes_up_appends_to_a_target_that_was_discarded() {
    on_azurite(Sweep::of_zombies, |sweep| {
        for line in ["28:pause:back", "29:pause:back"] {
            let ran = sweep.one(line.parse().expect("it is a spot"));
            assert!(ran.is_ok(), "{line}: {ran:?}");
        }
    });
}
