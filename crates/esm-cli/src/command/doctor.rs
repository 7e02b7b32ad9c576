//! `esm doctor`

use std::sync::Arc;

use esm_core::Result;
use esm_core::doctor::{Depth, Doctor as Examiner, Observed, Severity};
use esm_view::doctor::{Checkup, Findings, ShownFinding};

use crate::exit::Exit;
use crate::output::{Form, Style, Text, count, counted};
use crate::progress::Unit;
use crate::selection::Selection;
use crate::session::Session;

/// Find what is damaged, left behind or unfinished. Writes nothing.
///
/// Follows each object from its document through its chain of streams. With --all it also examines
/// migrations, locks, records and backups, and looks for streams and files that nothing names. Each
/// finding says what it means for readers and writers, and how it is mended. Exits with 9 if
/// events, documents or backups are damaged or missing, with 0 otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm doctor order/123
  esm doctor --all
  esm doctor --all --deep --output json | jq -r '.findings[] | [.subject, .remedy] | @tsv'")]
pub(crate) struct Doctor {
    #[command(flatten)]
    selection: Selection,
    /// Read only the ends of the streams and the newest versions of records.
    #[arg(long)]
    quick: bool,
    /// Read all versions of all records, and the contents of all backups.
    #[arg(long, conflicts_with = "quick")]
    deep: bool,
}

impl Doctor {
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        self.selection.ensure_found(session).await?;
        let depth = match (self.quick, self.deep) {
            (true, _) => Depth::Quick,
            (_, true) => Depth::Deep,
            _ => Depth::Normal,
        };
        if self.selection.is_all() && !self.quick && session.inventory().is_none() {
            session.check_storage().await?;
        }
        let progress = session.progress("doctor", Unit::Objects, None);
        let (mut findings, mut done) = (Findings::default(), 0);
        let examined = examiner(session)
            .with_depth(depth)
            .examine(&self.selection.scope(), |observed| match observed {
                Observed::Finding(finding) => findings.add(*finding),
                _ => {
                    done += 1;
                    progress.at(done);
                }
            })
            .await;
        progress.end();
        let checkup = findings.finish(depth, examined?);
        session.output().result(&checkup, text)?;
        Ok(if checkup.sound {
            Exit::Success
        } else {
            Exit::Corrupt
        })
    }
}

/// The library's doctor for the stores of a session.
pub(super) fn examiner(session: &Session) -> Examiner {
    let (records, locks) = (Arc::clone(session.records()), Arc::clone(session.locks()));
    let doctor = Examiner::new(session.stores().clone(), records, locks)
        .with_backups(session.backups())
        .with_environment(session.environment().clone())
        .cancel_on(session.interrupt().token().clone());
    match session.inventory() {
        Some(inventory) => doctor.with_inventory(inventory),
        None => doctor,
    }
}

fn text(checkup: &Checkup, _form: Form) -> Text {
    let findings = checkup.findings.iter().map(finding);
    let mut text = findings.fold(Text::default(), Text::and);
    if checkup.left_out > 0 {
        text.push(format!("{} more not shown", count(checkup.left_out)));
    }
    for not in &checkup.examined.not_examined {
        text.push(format!("not examined: {}: {}", not.what, not.why));
    }
    text.and(summary(checkup))
}

fn finding(shown: &ShownFinding) -> Text {
    let heading = format!(
        "{} {} ({}): {}",
        severity(shown.severity),
        shown.kind,
        shown.id,
        shown.subject
    );
    let mut text = match shown.severity {
        Severity::Error => Text::styled(Style::Failure, heading),
        _ => Text::line(heading),
    };
    text.push(format!("  {}", shown.detail));
    text.push(format!("  readers: {}", shown.readers));
    text.push(format!("  writers: {}", shown.writers));
    text.push(format!("  remedy: {}", shown.remedy));
    for command in &shown.commands {
        text.push(Text::whole(format!("    {command}")));
    }
    text
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn summary(checkup: &Checkup) -> String {
    let examined = &checkup.examined;
    let what = [
        counted(examined.objects, "object"),
        counted(examined.streams, "stream"),
        counted(examined.events, "event"),
        counted(examined.migrations, "migration"),
        counted(examined.backups, "backup"),
    ];
    let verdict = if checkup.sound { "sound" } else { "DAMAGED" };
    let found = [
        counted(examined.errors, "error"),
        counted(examined.warnings, "warning"),
        counted(examined.infos, "note"),
    ];
    format!("{verdict}: {}; found {}", what.join(", "), found.join(", "))
}
