//! Responses that Azurite does not give by itself: throttling, failures before and after the effect,
//! lost or missing responses, refusals.

use std::time::Duration;

use esm_azure::{OpenOptions, Store};
use esm_core::ErrorKind;
use esm_core::clock::Environment;
use esm_core::id::{HolderId, LockName, StreamId};
use esm_core::store::{Append, LockAttempt, LockRequest, PageLimit, ReadFrom, RecordKey, Tail};
use esm_testkit::{containers, event};

use crate::clock::BriskClock;
use crate::place::Place;
use crate::proxy::{Proxy, Spoil};

/// A store behind a proxy that spoils nothing yet.
struct Scene {
    proxy: Proxy,
    clock: BriskClock,
    place: Place,
    store: Store,
}

impl Scene {
    async fn new() -> Option<Self> {
        let azurite = containers::azurite().await?;
        let clock = BriskClock::new();
        let give_up = std::sync::Arc::clone(&clock.give_up);
        let proxy = Proxy::before(&azurite.url(), give_up).await;
        let place = Place::behind(azurite, &proxy.url);
        let options = OpenOptions::new().with_environment(clock.environment());
        let store = place.store_with(options).await;
        Some(Self {
            proxy,
            clock,
            place,
            store,
        })
    }

    fn stream() -> StreamId {
        StreamId::new("stream").unwrap()
    }

    async fn append(&self) -> esm_core::Result<Tail> {
        let commit = Environment::system().commit_id();
        let append = Append::events(commit, vec![event("1", "Counted").into()]);
        let events = self.store.event_store();
        events
            .append(&Self::stream(), &Tail::default(), append)
            .await
    }

    async fn events(&self) -> usize {
        let events = self.store.event_store();
        let stream = Self::stream();
        let page = events.read(&stream, ReadFrom::Seq(0), PageLimit::default());
        page.await.unwrap().cells.len()
    }
}

#[tokio::test]
async fn a_busy_service_is_left_alone_for_as_long_as_it_asks() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    for (status, code) in [(503, "ServerBusy"), (429, "TooManyRequests")] {
        let busy = Spoil::Instead(status, code, "retry-after: 7\r\n");
        scene.proxy.spoil("GET", "", 2, busy.clone());
        let records = scene.store.records();
        assert_eq!(records.latest(&RecordKey::Index).await.unwrap(), None);
        scene.proxy.spoil("PUT", "", 1, busy);
        let key = RecordKey::Document(format!("order/{status}").parse().unwrap());
        records.put(&key, 0, "a".into()).await.unwrap();
        assert!(scene.proxy.is_done());
    }
    scene.proxy.spoil(
        "PUT",
        "",
        1,
        Spoil::Instead(503, "ServerBusy", "retry-after: 7\r\n"),
    );
    scene.append().await.unwrap();
    assert_eq!(scene.events().await, 1);
    let long = scene.clock.pauses();
    let long = long
        .iter()
        .filter(|pause| **pause >= Duration::from_secs(7));
    assert_eq!(long.count(), 7, "{:?}", scene.clock.pauses());
}

#[tokio::test]
async fn a_service_that_wants_too_long_a_pause_is_unavailable() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let busy = Spoil::Instead(503, "ServerBusy", "retry-after: 3600\r\n");
    scene.proxy.spoil("GET", "", 1, busy);
    let records = scene.store.records();
    let error = records.latest(&RecordKey::Index).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable, "{error:?}");
    assert!(error.is_retryable() && error.hint().is_some());
    assert_eq!(scene.clock.pauses(), [Duration::ZERO; 0]);
}

#[tokio::test]
async fn an_append_happens_once_whatever_is_answered() {
    for spoil in [
        Spoil::Instead(500, "InternalError", ""),
        Spoil::Instead(503, "ServerBusy", ""),
        Spoil::After(500),
        Spoil::After(503),
        // a gateway's, of no specification
        Spoil::After(524),
        Spoil::Lost,
        Spoil::Silence,
    ] {
        let Some(scene) = Scene::new().await else {
            return;
        };
        scene.proxy.spoil("PUT", "", 1, spoil.clone());
        let tail = scene.append().await.unwrap();
        assert_eq!(tail.next_revision().0, 1, "{spoil:?}");
        assert_eq!(scene.events().await, 1, "{spoil:?}");
        assert!(scene.proxy.is_done(), "{spoil:?}");
    }
}

#[tokio::test]
async fn an_append_that_cannot_be_settled_is_ambiguous() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.proxy.spoil("PUT", "", 1, Spoil::Lost);
    scene
        .proxy
        .spoil("GET", "", 1_000, Spoil::Instead(500, "InternalError", ""));
    let error = scene.append().await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Ambiguous, "{error:?}");
    assert!(error.may_have_applied());
}

#[tokio::test]
async fn a_record_is_put_once_whatever_is_answered() {
    for spoil in [
        Spoil::Instead(500, "InternalError", ""),
        Spoil::After(500),
        Spoil::Lost,
        Spoil::Silence,
    ] {
        let Some(scene) = Scene::new().await else {
            return;
        };
        let records = scene.store.records();
        for (number, body) in (0..).zip(["a", "b"]) {
            scene.proxy.spoil("PUT", "", 1, spoil.clone());
            records
                .put(&RecordKey::Index, number, body.into())
                .await
                .unwrap();
        }
        let newest = records.latest(&RecordKey::Index).await.unwrap().unwrap();
        assert_eq!(
            (newest.number, &newest.body[..]),
            (1, &b"b"[..]),
            "{spoil:?}"
        );
        assert!(scene.proxy.is_done(), "{spoil:?}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_settled_is_ambiguous() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.proxy.spoil("PUT", "", 1, Spoil::Lost);
    scene
        .proxy
        .spoil("GET", "", 1_000, Spoil::Instead(500, "InternalError", ""));
    let records = scene.store.records();
    let error = records.put(&RecordKey::Index, 0, "a".into()).await;
    assert_eq!(error.unwrap_err().kind(), &ErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_lock_is_acquired_once_whatever_is_answered() {
    for spoil in [
        Spoil::Instead(500, "InternalError", ""),
        Spoil::After(500),
        Spoil::Lost,
        Spoil::Silence,
    ] {
        let Some(scene) = Scene::new().await else {
            return;
        };
        let name = LockName::new("order/7").unwrap();
        let request = LockRequest {
            holder: HolderId::new("somebody").unwrap(),
            lease: Duration::from_secs(60),
            migration: None,
            at: Environment::system().clock.now(),
            process: None,
        };
        let locks = scene.store.locks();
        let acquire = async |token| {
            let attempt = locks.try_acquire(&name, &request).await.unwrap();
            let LockAttempt::Acquired(grant) = attempt else {
                panic!("{spoil:?}: {attempt:?}");
            };
            assert_eq!(grant.token.0, token, "{spoil:?}");
            locks.renew(&grant).await.unwrap();
            locks.release(&grant).await.unwrap();
        };
        acquire(0).await;
        scene.proxy.spoil("PUT", "comp=lease", 1, spoil.clone());
        acquire(1).await;
        scene.proxy.spoil("PUT", "lease?sv=", 1, spoil.clone());
        acquire(2).await;
        assert!(scene.proxy.is_done(), "{spoil:?}");
    }
}

#[tokio::test]
async fn a_renewal_without_an_answer_is_unknown_and_not_lost() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let name = LockName::new("order/7").unwrap();
    let request = LockRequest {
        holder: HolderId::new("somebody").unwrap(),
        lease: Duration::from_secs(60),
        migration: None,
        at: Environment::system().clock.now(),
        process: None,
    };
    let locks = scene.store.locks();
    let LockAttempt::Acquired(grant) = locks.try_acquire(&name, &request).await.unwrap() else {
        panic!("a fresh lock is held");
    };
    scene.proxy.spoil(
        "PUT",
        "comp=lease",
        1,
        Spoil::Instead(500, "InternalError", ""),
    );
    let unknown = locks.renew(&grant).await.unwrap_err();
    assert_eq!(unknown.kind(), &ErrorKind::Unavailable, "{unknown:?}");
    locks.renew(&grant).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_told_as_what_it_is_and_how_to_mend_it() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    for (status, code, kind, hinted) in [
        (
            403,
            "AuthenticationFailed",
            ErrorKind::PermissionDenied,
            "clock",
        ),
        (
            403,
            "AuthorizationPermissionMismatch",
            ErrorKind::PermissionDenied,
            "Contributor",
        ),
        (
            403,
            "KeyBasedAuthenticationNotPermitted",
            ErrorKind::PermissionDenied,
            "Entra ID",
        ),
        (
            401,
            "InvalidAuthenticationInfo",
            ErrorKind::PermissionDenied,
            "signature",
        ),
        (404, "ContainerNotFound", ErrorKind::NotFound, "container"),
        (400, "InvalidResourceName", ErrorKind::Invalid, "prefix"),
    ] {
        scene
            .proxy
            .spoil("GET", "", 1, Spoil::Instead(status, code, ""));
        let records = scene.store.records();
        let reading = records.latest(&RecordKey::Index).await.unwrap_err();
        scene
            .proxy
            .spoil("PUT", "", 1, Spoil::Instead(status, code, ""));
        let writing = scene.append().await.unwrap_err();
        for error in [reading, writing] {
            assert_eq!(error.kind(), &kind, "{code}: {error:?}");
            let hint = error.hint().unwrap_or_default().to_owned();
            assert!(hint.contains(hinted), "{code}: {hint}");
            let shown = format!("{error:?}");
            assert!(!shown.contains("sig="), "{shown}");
        }
    }
    assert_eq!(scene.events().await, 0, "nothing was written");
}

#[tokio::test]
async fn a_container_that_is_not_there_and_may_not_be_made_is_told() {
    let Some(azurite) = containers::azurite().await else {
        return;
    };
    let clock = BriskClock::new();
    let proxy = Proxy::before(&azurite.url(), std::sync::Arc::clone(&clock.give_up)).await;
    let place = Place::behind(azurite, &proxy.url);
    proxy.spoil(
        "PUT",
        "restype=container",
        1,
        Spoil::Instead(403, "AuthorizationFailure", ""),
    );
    let opened = esm_azure::open_or_create(
        &place.connection,
        "az://not-there-and-not-made",
        OpenOptions::new(),
    );
    let error = opened.await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::PermissionDenied, "{error:?}");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("may not create it"), "{hint}");
}

#[tokio::test]
async fn a_backup_that_is_spoilt_on_the_way_is_whole_or_an_error() {
    for spoil in [
        Spoil::Instead(500, "InternalError", ""),
        Spoil::After(500),
        Spoil::Lost,
    ] {
        let Some(scene) = Scene::new().await else {
            return;
        };
        let event_store = scene.store.event_store();
        scene.append().await.unwrap();
        scene.proxy.spoil("PUT", "/backups%2F", 3, spoil.clone());
        let backups = scene.store.backups();
        let id = crate::place::back_up(&*backups, &*event_store, &Scene::stream()).await;
        let mut reader = backups.open(&id).await.unwrap();
        let mut items = 0;
        while reader.next().await.unwrap().is_some() {
            items += 1;
        }
        assert!(items >= 3, "{spoil:?}: {items} items");
        assert!(!scene.place.requests().is_empty());
    }
}
