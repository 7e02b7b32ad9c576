use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use esm_core::ErrorKind;
use esm_core::migration::{HookPoint, Hooks, MigrationStatus};

use crate::world::World;

const ALL: [HookPoint; 6] = [
    HookPoint::Planned,
    HookPoint::Started,
    HookPoint::Verified,
    HookPoint::Ready,
    HookPoint::BeforeCutover,
    HookPoint::AfterCutover,
];

#[tokio::test(start_paused = true)]
async fn hooks_are_called_once_each_in_order() {
    let f = World::with_events(30).await;
    let met = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&met);
    let hooks = ALL.into_iter().fold(Hooks::default(), |hooks, point| {
        let told = Arc::clone(&told);
        hooks.on_blocking(point, "note", move |event| {
            told.lock().unwrap().push(event.point);
            Ok(())
        })
    });
    assert!(f.begin(|m| m.hooks(hooks)).result().await.is_success());
    assert_eq!(*met.lock().unwrap(), ALL);
}

#[tokio::test(start_paused = true)]
async fn a_veto_stops_before_anything_more_is_written_and_is_asked_again() {
    for point in ALL.into_iter().filter(|point| point.may_be_vetoed()) {
        let f = World::with_events(30).await;
        let source = f.active(&f.order).await;
        let asked = f
            .service
            .migrate(f.order.clone())
            .hooks(Hooks::default().veto(point, "freeze", |_| async {
                Err("until Monday".to_owned())
            }));
        let migration = match asked.execute().await {
            Err(error) => {
                assert_eq!(point, HookPoint::Planned, "{error}");
                assert!(error.to_string().contains("until Monday"), "{error}");
                assert!(f.storage.locks().list().await.unwrap().is_empty());
                continue;
            }
            Ok(stopped) => {
                assert_eq!(stopped.status, MigrationStatus::Paused, "{point}");
                let error = stopped.error.unwrap();
                assert_eq!(*error.kind(), ErrorKind::Cancelled);
                assert!(error.to_string().contains("\"freeze\" vetoed"), "{error}");
                stopped.migration
            }
        };
        assert_eq!(f.active(&f.order).await, source, "{point}");
        let resumed = f.service.resume(migration).execute().await.unwrap();
        assert!(resumed.is_success(), "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_that_fail_hang_or_panic_are_counted_and_stop_nothing() {
    let f = World::with_events(30).await;
    let running = f.begin(|m| {
        m.hooks(
            Hooks::default()
                .timeout(Duration::from_secs(5))
                .on(HookPoint::Started, "fails", |_| async {
                    Err("no".to_owned())
                })
                .on(HookPoint::Ready, "hangs", |_| std::future::pending())
                .on_blocking(HookPoint::AfterCutover, "panics", |_| panic!("in a hook")),
        )
    });
    let result = running.result().await;
    assert!(result.is_success());
    assert_eq!(result.statistics.hook_faults, 3);
}

#[tokio::test(start_paused = true)]
async fn a_veto_of_what_has_happened_is_refused_before_anything_is_touched() {
    let f = World::with_events(30).await;
    let wrong = f
        .service
        .migrate(f.order.clone())
        .hooks(Hooks::default().veto(HookPoint::AfterCutover, "late", |_| async { Ok(()) }));
    let error = wrong.execute().await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Invalid);
    assert!(
        error.to_string().contains("\"late\" cannot veto"),
        "{error}"
    );
}
