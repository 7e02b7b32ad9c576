//! Writers before, during and after a rollback.

use std::sync::Arc;

use esm_core::router::ExpectedRevision;
use esm_core::transform::Mapper;
use esm_testkit::observe::History;

use super::back::line;
use crate::world::{World, versioned};

/// Restores what the migration dropped and changed; leaves the rest as it is.
#[tokio::test(start_paused = true)]
async fn nothing_that_was_acknowledged_is_lost_and_everything_stands_once() {
    let w = World::watched(&[("order/1", &["Old", "Kept", "Noise", "Pair"])]).await;
    let originals = w.lines("order/1").await;
    let history = History::new();
    let object: esm_core::id::ObjectId = "order/1".parse().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let client = w.client();
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (client, history, stop) = (client.clone(), history.clone(), stop.clone());
            let (object, environment) = (object.clone(), w.storage.environment.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.is_cancelled() {
                        return number;
                    }
                    let event = versioned(&format!("{writer}-{number}"), "Kept", 1);
                    let attempted = history.begin(vec![event.clone()]);
                    let appended = client.append(&object, ExpectedRevision::Any, vec![event]);
                    appended.await.unwrap();
                    attempted.acknowledged();
                    let pause = std::time::Duration::from_millis(3);
                    environment.clock.sleep(environment.jittered(pause)).await;
                }
                unreachable!("numbers do not end")
            })
        })
        .collect();
    let pause = || {
        w.storage
            .environment
            .clock
            .sleep(std::time::Duration::from_millis(20))
    };
    pause().await;
    let forward = w.migrated("order/1").await;
    pause().await;
    w.append("order/1", versioned("new", "Old", 2)).await;
    let back = w.succeeded(w.back(forward).execute().await);
    pause().await;
    w.succeeded(
        w.service
            .roll_back(back.migration)
            .down(super::back::up())
            .execute()
            .await,
    );
    pause().await;
    w.succeeded(w.back(forward).execute().await);
    pause().await;
    stop.cancel();
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    assert!(written > 30, "{written}");
    w.unharmed();
    let active = w.active("order/1").await;
    let found = w.storage.events(&active.stream);
    let lines: Vec<_> = found.iter().map(line).collect();
    assert_eq!(lines[..originals.len()], originals);
    assert!(lines.contains(&"Old v1 new".to_owned()), "{lines:?}");
    let theirs = found
        .into_iter()
        .filter(|e| e.event_type.as_str() == "Kept");
    let theirs: Vec<_> = theirs
        .filter(|e| !e.id.as_str().starts_with("order"))
        .collect();
    let unchanged = Mapper::new(Arc::new(esm_core::transform::Identity));
    history
        .check_transformed(&theirs, &object, &unchanged)
        .unwrap();
}
