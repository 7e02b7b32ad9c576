//! What a monitoring system reads: `/metrics`, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use esm_view::migration::{Kind, Shown};

use crate::access::Sessions;
use crate::shared::Shared;

/// All conditions, with their names in metrics.
const CONDITIONS: [(Kind, &str); 10] = [
    (Kind::Damaged, "damaged"),
    (Kind::Running, "running"),
    (Kind::Ready, "ready"),
    (Kind::Waiting, "waiting"),
    (Kind::Paused, "paused"),
    (Kind::Stopped, "stopped"),
    (Kind::Failed, "failed"),
    (Kind::ProbablyDead, "probably_dead"),
    (Kind::Dead, "dead"),
    (Kind::Ended, "ended"),
];

/// A metric of a migration that has not ended: name, explanation, value.
type OfMigration = (&'static str, &'static str, fn(&Shown) -> Option<f64>);

const OF_MIGRATION: [OfMigration; 13] = [
    (
        "esm_migration_done_ratio",
        "Part of the work that is done, from 0 to 1, weighted by time.",
        |s| Some(f64::from(s.progress.as_ref()?.percent?) / 100.0),
    ),
    (
        "esm_migration_eta_seconds",
        "Estimated time left. Absent while it waits or is not known.",
        |s| Some(s.progress.as_ref()?.eta?.as_secs_f64()),
    ),
    (
        "esm_migration_events_total",
        "Source events of the objects that are migrated, as far as they are counted.",
        |s| Some(s.progress.as_ref()?.events_total? as f64),
    ),
    (
        "esm_migration_events_copied",
        "Source events copied in the current run.",
        |s| Some(s.progress.as_ref()?.events_copied as f64),
    ),
    (
        "esm_migration_events_verified",
        "Source events verified in the current run.",
        |s| Some(s.progress.as_ref()?.events_verified as f64),
    ),
    (
        "esm_migration_events_per_second",
        "Source events copied and compared per second, smoothed.",
        |s| Some(s.progress.as_ref()?.events_per_second as f64),
    ),
    (
        "esm_migration_bytes_per_second",
        "Bytes of source events copied per second, smoothed.",
        |s| Some(s.progress.as_ref()?.bytes_per_second as f64),
    ),
    (
        "esm_migration_lag_events",
        "Source events that the target of the most recent object lacks.",
        |s| Some(s.progress.as_ref()?.lag? as f64),
    ),
    (
        "esm_migration_objects_done",
        "Objects that are migrated, up to date or failed.",
        |s| Some(s.progress.as_ref()?.objects_done as f64),
    ),
    (
        "esm_migration_objects_failed",
        "Objects that failed.",
        |s| match (&s.progress, &s.state.statistics) {
            (Some(progress), _) => Some(progress.objects_failed as f64),
            (None, Some(statistics)) => Some(statistics.failed as f64),
            (None, None) => None,
        },
    ),
    (
        "esm_migration_objects_total",
        "Number of objects, if it is known.",
        |s| Some(s.progress.as_ref()?.objects_total? as f64),
    ),
    (
        "esm_migration_read_timestamp_seconds",
        "When the numbers of the migration were read.",
        |s| Some(s.observed_at.as_millisecond() as f64 / 1e3),
    ),
    (
        "esm_migration_last_change_timestamp_seconds",
        "When it was last seen to change.",
        |s| Some(s.last_change()?.as_millisecond() as f64 / 1e3),
    ),
];

/// Who may read the metrics: a signed-in browser, or a bearer of the token.
#[derive(Clone)]
struct Readers(Arc<Sessions>);

pub(crate) fn routes(sessions: Arc<Sessions>) -> Router<Arc<Shared>> {
    let readers = Readers(sessions);
    Router::new().route(
        "/metrics",
        get(
            move |State(shared): State<Arc<Shared>>, headers: HeaderMap| async move {
                if readers.0.allows(&headers) || has_token(&shared, &headers) {
                    metrics(&shared).await
                } else {
                    let text = "401: not signed in; for a monitoring system use --metrics-token\n";
                    (StatusCode::UNAUTHORIZED, text).into_response()
                }
            },
        ),
    )
}

fn has_token(shared: &Shared, headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let given = given.and_then(|text| text.strip_prefix("Bearer "));
    let wanted = shared.options.metrics_token.as_deref();
    // hashes are compared: the time does not tell how much of it fits
    given.zip(wanted).is_some_and(|(given, wanted)| {
        blake3::hash(given.as_bytes()) == blake3::hash(wanted.as_bytes())
    })
}

async fn metrics(shared: &Shared) -> Response {
    let stores = 0..shared.sources.len();
    let boards = stores.map(|store| async move { (store, shared.board(store).await) });
    let boards = futures::future::join_all(boards).await;
    let mut text = String::new();
    head(&mut text, "esm_store_up", "Whether the store answers.");
    for (store, board) in &boards {
        let up = board.as_ref().is_ok_and(|seen| seen.stale.is_none());
        line(
            &mut text,
            "esm_store_up",
            &store_labels(shared, *store),
            f64::from(u8::from(up)),
        );
    }
    head(
        &mut text,
        "esm_store_read_timestamp_seconds",
        "When the numbers of the store were read.",
    );
    for (store, board) in &boards {
        if let Ok(seen) = board {
            let at = seen.at.as_millisecond() as f64 / 1e3;
            let labels = store_labels(shared, *store);
            line(&mut text, "esm_store_read_timestamp_seconds", &labels, at);
        }
    }
    head(
        &mut text,
        "esm_migrations",
        "Migrations by what they do now, as far as their journals were read.",
    );
    for (store, board) in &boards {
        let Ok(seen) = board else { continue };
        for (kind, name) in CONDITIONS {
            let is_so = |shown: &&Arc<Shown>| shown.condition.condition == kind;
            let number = seen.value.migrations.iter().filter(is_so).count();
            let labels = format!("{},condition=\"{name}\"", store_labels(shared, *store));
            line(&mut text, "esm_migrations", &labels, number as f64);
        }
        let labels = format!("{},condition=\"unreadable\"", store_labels(shared, *store));
        let number = seen.value.unreadable.len();
        line(&mut text, "esm_migrations", &labels, number as f64);
    }
    for (name, help, value) in OF_MIGRATION {
        head(&mut text, name, help);
        for (store, board) in &boards {
            let Ok(seen) = board else { continue };
            let open = seen.value.migrations.iter();
            let open = open.filter(|shown| shown.condition.condition != Kind::Ended);
            for shown in open {
                if let Some(value) = value(shown) {
                    let migration = shown.state.migration;
                    let labels = store_labels(shared, *store);
                    let labels = format!("{labels},migration=\"{migration}\"");
                    line(&mut text, name, &labels, value);
                }
            }
        }
    }
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, media_type)], text).into_response()
}

fn store_labels(shared: &Shared, store: usize) -> String {
    format!("store=\"{}\"", escaped(shared.source(store).location()))
}

/// A value of a label: backslashes, quotes and line ends are escaped.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('"', "\\\"");
    value.replace('\n', r"\n")
}

fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = writeln!(text, "{name}{{{labels}}} {value}");
}
