//! `esm verify`

use esm_core::id::{MigrationId, ObjectId};
use esm_core::{Error, ErrorKind, Result};
use futures::TryStreamExt as _;
use serde::Serialize;

use crate::exit::Exit;
use crate::migration::{Compared, IdPart, Mappers, compare, service};
use crate::output::{ErrorReport, Form, Text, count, counted};
use crate::progress::Unit;
use crate::selection::Selection;
use crate::session::Session;

/// Verify that migrated objects match their transformed sources.
///
/// Reads the closed stream of each object's last migration, transforms it again with the jq program
/// from the journal, and compares it with the target stream event by event. Exits with 6 if they
/// differ. Both streams must have what the document and the Close say; exits with 9 if data is
/// damaged or lost. With --all it first checks the structure of a SQLite file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm verify order/123
  esm verify --all
  esm verify --migration 0192d3a0-7c1e-7aaa-8bbb-0123456789ab --all")]
pub(crate) struct Verify {
    #[command(flatten)]
    selection: Selection,
    /// Verify this migration instead of the last one of each object.
    #[arg(long, value_name = "MIGRATION")]
    migration: Option<IdPart>,
}

#[derive(Debug, Serialize)]
struct Verified {
    equal: bool,
    /// Compared objects, and the events of their targets.
    objects: u64,
    events: u64,
    not_migrated: u64,
    different: u64,
    /// Objects with damaged or lost data.
    damaged: u64,
    /// The first differences, and the first damage.
    differences: Vec<Difference>,
    /// The object, if there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Compared>,
}

#[derive(Debug, Serialize)]
struct Difference {
    object: ObjectId,
    error: ErrorReport,
}

/// Objects compared concurrently.
const CONCURRENCY: usize = 4;
/// Differences that are listed; the count is complete.
const LISTED: usize = 100;

impl Verify {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        if self.selection.is_all() {
            session.check_storage().await?;
        }
        let mappers = Mappers::new(service(session)?, session.masking_key());
        let migration = match &self.migration {
            Some(given) => Some(given.migration(session).await?),
            None => None,
        };
        let progress = session.progress("verify", Unit::Objects, None);
        let mut done = 0;
        let mut verified = Verified {
            equal: true,
            objects: 0,
            events: 0,
            not_migrated: 0,
            different: 0,
            damaged: 0,
            differences: Vec::new(),
            object: None,
        };
        let objects = self.selection.listed(session).await?;
        let mut compared = objects
            .map_ok(|object| one(session, &mappers, object, migration))
            .try_buffer_unordered(CONCURRENCY);
        while let Some((object, result)) = compared.try_next().await? {
            session.interrupt().check()?;
            verified.add(object, result)?;
            done += 1;
            progress.at(done);
        }
        drop(compared);
        progress.end();
        if verified.objects + verified.not_migrated != 1 {
            verified.object = None;
        }
        session.output().result(&verified, text)?;
        Ok(if verified.damaged > 0 {
            Exit::Corrupt
        } else if verified.equal {
            Exit::Success
        } else {
            Exit::Unverified
        })
    }
}

/// Compares one object, with its last migration or with the given one.
async fn one(
    session: &Session,
    mappers: &Mappers,
    object: ObjectId,
    migration: Option<MigrationId>,
) -> Result<(ObjectId, Result<Option<Compared>>)> {
    let result = match session.reader().load(&object).await {
        Ok(found) => compare(session, mappers, &found.document, migration).await,
        Err(error) if is_damage(&error) => Err(error),
        Err(error) => return Err(error),
    };
    Ok((object, result))
}

impl Verified {
    fn add(&mut self, object: ObjectId, result: Result<Option<Compared>>) -> Result<()> {
        match result {
            Ok(None) => self.not_migrated += 1,
            Ok(Some(compared)) => {
                self.objects += 1;
                self.events += compared.target_events.0;
                self.object = Some(compared);
            }
            Err(error) if *error.kind() == ErrorKind::VerificationFailed => {
                self.different += 1;
                self.list(object, &error);
            }
            Err(error) if is_damage(&error) => {
                self.damaged += 1;
                self.list(object, &error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn list(&mut self, object: ObjectId, error: &Error) {
        self.objects += 1;
        self.equal = false;
        if self.differences.len() < LISTED {
            let error = ErrorReport::new(error);
            self.differences.push(Difference { object, error });
        }
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Gone)
}

fn text(verified: &Verified, _form: Form) -> Text {
    let differences = verified.differences.iter();
    differences
        .map(|difference| difference.error.to_text())
        .fold(Text::default(), Text::and)
        .and(summary(verified))
}

fn summary(verified: &Verified) -> String {
    let objects = counted(verified.objects, "object");
    if verified.damaged > 0 {
        let different = match verified.different {
            0 => String::new(),
            different => format!("; DIFFERENT: {}", count(different)),
        };
        return format!(
            "DAMAGED: {} of {objects}{different}",
            count(verified.damaged)
        );
    }
    if !verified.equal {
        return format!("DIFFERENT: {} of {objects}", count(verified.different));
    }
    if verified.objects == 0 {
        return "nothing to verify: no object was migrated".to_owned();
    }
    let events = counted(verified.events, "event");
    let mut text = format!("equal: {events} of {objects} match their transformed sources");
    if verified.not_migrated > 0 {
        text.push_str(&format!("; {} not migrated", count(verified.not_migrated)));
    }
    text
}
