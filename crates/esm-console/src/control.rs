//! Commands to migrations. These routes exist only where control is allowed.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HeaderMap};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use esm_core::id::MigrationId;
use esm_core::migration::{Limit, Reply, SettingsChange, WatchedMigration};
use esm_core::protocol::control::{Answer, ControlAction, Situation, judge};
use esm_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::access::Operator;
use crate::failure::failure;
use crate::shared::Shared;
use crate::source::short;

/// How long the answer of the migrating process is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something that can be done with a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Cutover,
    Withdraw,
    Pause,
    Resume,
    Set,
    Cancel,
    Rollback,
}

impl Act {
    const ALL: [Self; 7] = [
        Self::Cutover,
        Self::Withdraw,
        Self::Pause,
        Self::Resume,
        Self::Set,
        Self::Cancel,
        Self::Rollback,
    ];

    /// Its name in addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cutover => "cutover",
            Self::Withdraw => "withdraw",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Set => "set",
            Self::Cancel => "cancel",
            Self::Rollback => "rollback",
        }
    }

    /// What the button says.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Cutover => "Approve the cutover",
            Self::Withdraw => "Withdraw the approval",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::Set => "Change limits",
            Self::Cancel => "Cancel the migration",
            Self::Rollback => "Roll the migration back",
        }
    }

    /// What it would do.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Cutover => {
                "The migration closes the sources as soon as the targets are verified. From then on \
                 it can only be completed, or migrated back."
            }
            Self::Withdraw => "The migration continues to copy, and does not cut over yet.",
            Self::Pause => {
                "The migration stops at its next safe point. It keeps its lock and its progress; \
                 applications notice nothing."
            }
            Self::Resume => "The migration continues where it was paused.",
            Self::Set => "The migration works with the new limits from now on.",
            Self::Cancel => {
                "The migration is undone: targets are discarded, the sources stay as they are. \
                 It ends as cancelled. Refused once the sources are closed."
            }
            Self::Rollback => {
                "The migration is undone: targets are discarded, the sources stay as they are. \
                 It ends as rolled back. Refused once the sources are closed."
            }
        }
    }

    /// Whether it cannot be taken back.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Cancel | Self::Rollback)
    }

    /// The equal command of `esm`, without the store.
    pub(crate) fn command(self, id: &str) -> String {
        match self {
            Self::Cutover => format!("cutover {id}"),
            Self::Withdraw => format!("cutover {id} --withdraw"),
            Self::Pause => format!("pause {id}"),
            Self::Resume => format!("resume {id}"),
            Self::Set => format!("set {id} --events-per-second 2000"),
            Self::Cancel => format!("cancel {id}"),
            Self::Rollback => format!("rollback {id}"),
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.name() == name)
    }

    fn action(self, asked: &Asked) -> ControlAction {
        let reason = asked.reason.trim().to_owned();
        match self {
            Self::Cutover => ControlAction::CutOver,
            Self::Withdraw => ControlAction::WithdrawCutOver,
            Self::Pause => ControlAction::Pause,
            Self::Resume => ControlAction::Resume,
            Self::Set => ControlAction::Set(asked.change),
            Self::Cancel => ControlAction::Cancel { reason },
            Self::Rollback => ControlAction::RollBack { reason },
        }
    }
}

/// What the migrator would not refuse now, as far as it is known here: its own answer decides.
pub(crate) fn legal(watched: &WatchedMigration, situation: Situation) -> Vec<Act> {
    let state = &watched.state;
    let is_readable = state.damage.is_none() && watched.commands_damage.is_none();
    if state.status.is_terminal() || !is_readable || state.plan.is_none() {
        return Vec::new();
    }
    let sample = Asked {
        change: SettingsChange {
            events_per_second: Some(Limit::Unlimited),
            ..SettingsChange::default()
        },
        ..Asked::default()
    };
    let is_legal = |act: &Act| {
        let answer = judge(&watched.desired, situation, &act.action(&sample));
        !matches!(answer, Answer::Refused { .. })
    };
    Act::ALL.into_iter().filter(is_legal).collect()
}

/// What is posted.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    reason: String,
    confirm: String,
    #[serde(rename = "settings")]
    change: SettingsChange,
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/s/{store}/migrations/{migration}/{act}", post(give))
}

async fn give(
    State(shared): State<Arc<Shared>>,
    Path((slug, migration, act)): Path<(String, String, String)>,
    operator: Operator,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(act) = Act::of(&act) else {
        return crate::page::not_found().await;
    };
    let author = operator.author(shared.author());
    match command(&shared, author, &slug, &migration, act, &headers, &body).await {
        Ok(reply) => Json(reply).into_response(),
        Err(error) => failure(&error),
    }
}

async fn command(
    shared: &Shared,
    author: &str,
    slug: &str,
    migration: &str,
    act: Act,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value> {
    let store = shared
        .find(slug)
        .map_err(|_| Error::not_found("unknown store"))?;
    let migration: MigrationId = migration.parse()?;
    let asked: Asked = read(headers, body)?;
    check(act, migration, &asked)?;
    let service = shared.source(store).service();
    let sender = service
        .control(migration)
        .author(author)
        .reason(asked.reason.trim());
    let receipt = sender.send(act.action(&asked)).await?;
    let reply = receipt.reply(PATIENCE).await?;
    let (answer, text) = match &reply {
        Reply::Answer(answer) => (
            Some(answer),
            format!("{}: {answer}", receipt.command.action),
        ),
        Reply::NoProcess => (
            None,
            "The command is kept. No process runs the migration now; the one that resumes it will \
             receive it."
                .to_owned(),
        ),
        _ => (
            None,
            "The command is kept; the process that runs the migration has not answered yet."
                .to_owned(),
        ),
    };
    Ok(json!({
        "migration": migration,
        "command": receipt.command,
        "answer": answer,
        "refused": matches!(answer, Some(Answer::Refused { .. })),
        "text": text,
    }))
}

/// # Errors
/// `Invalid` for what is not JSON, or not of this form.
pub(crate) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if media_type.is_none_or(|t| !t.starts_with("application/json")) {
        return Err(Error::invalid("a command is posted as application/json"));
    }
    serde_json::from_slice(body)
        .map_err(|e| Error::invalid(format!("the command cannot be read: {e}")).with_source(e))
}

/// # Errors
/// `Invalid` without a reason, or without the typed id where that is required.
fn check(act: Act, migration: MigrationId, asked: &Asked) -> Result<()> {
    if asked.reason.trim().is_empty() || asked.reason.chars().count() > 500 {
        return Err(Error::invalid(
            "a reason is required, of at most 500 characters",
        ));
    }
    if act.is_final() && asked.confirm.trim() != short(migration) {
        let hint = format!("type {} to confirm", short(migration));
        return Err(Error::invalid("the confirmation is not the migration's id").with_hint(hint));
    }
    if act == Act::Set {
        asked.change.check()?;
    }
    Ok(())
}
