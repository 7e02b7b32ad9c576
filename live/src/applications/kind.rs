//! The applications, and how each is started and inspected.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use tokio::process::Command;

/// An application, by the library that it keeps its events with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// cqrs-es with the crate postgres-es
    PostgresEs,
    /// Emmett, npm's @event-driven-io/emmett-postgresql
    Emmett,
    /// Message DB, npm's @eventide/message-db
    MessageDb,
}

impl Kind {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PostgresEs => "postgres-es",
            Self::Emmett => "emmett",
            Self::MessageDb => "message-db",
        }
    }

    /// Where its sources are.
    fn folder(self) -> PathBuf {
        let applications = Path::new(env!("CARGO_MANIFEST_DIR")).join("applications");
        applications.join(match self {
            Self::PostgresEs => "postgres-es",
            Self::Emmett | Self::MessageDb => "node",
        })
    }

    /// The program of its migration.
    pub(super) fn transformation(self) -> PathBuf {
        self.folder().join("v2.jq")
    }

    /// Its program.
    pub(super) fn program(self) -> Result<Command> {
        match self {
            Self::PostgresEs => {
                let program = std::env::current_exe()?.with_file_name("bank-on-postgres-es");
                ensure!(program.exists(), "not built: {}", program.display());
                Ok(Command::new(program))
            }
            Self::Emmett | Self::MessageDb => {
                let mut node = Command::new("node");
                node.arg(self.folder().join(format!("{}.js", self.name())));
                Ok(node)
            }
        }
    }

    /// Whether the library has an order of all events, which another process then consumes.
    pub(super) fn is_consumed(self) -> bool {
        matches!(self, Self::Emmett | Self::MessageDb)
    }

    /// All its events: account, number from 1, type, version where there is one, and content.
    pub(super) fn rows(self) -> &'static str {
        match self {
            Self::PostgresEs => {
                "SELECT aggregate_id, sequence, event_type, event_version,
                        (payload -> event_type)::text
                 FROM events ORDER BY 1, 2"
            }
            Self::Emmett => {
                "SELECT substr(stream_id, 9), stream_position, message_type, NULL,
                        message_data::text
                 FROM emt_messages ORDER BY 1, 2"
            }
            Self::MessageDb => {
                "SELECT substr(stream_name, 9), position + 1, type, NULL, data::text
                 FROM message_store.messages ORDER BY 1, 2"
            }
        }
    }
}
