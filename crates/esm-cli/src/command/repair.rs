//! `esm repair`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use esm_core::doctor::{Depth, Finding, FindingId, FindingKind, Observed, Severity, Subject};
use esm_core::migration::Scope;
use esm_core::repair::{Mended, Offer, Outcome, Repair as Mender};
use esm_core::{Error, ErrorKind, Result};
use esm_view::doctor::ShownFinding;
use serde::Serialize;

use super::doctor::examiner;
use crate::args;
use crate::confirm::confirmed;
use crate::exit::Exit;
use crate::output::{ErrorReport, Form, Text, count, counted};
use crate::progress::Unit;
use crate::session::{Access, Session};

/// Mend what `esm doctor` finds, where it is proven what is right.
///
/// Removes the targets of migrations that are over, corrects documents from the streams and writes
/// lost ones again, breaks locks whose process has ended, and ends published phases. Given its id, it
/// also writes the document of a stream that was never closed, and removes a manifest without files.
/// Checks each finding again and changes nothing that is right. What is removed from a stream is kept
/// in an archive. All other findings are mended by the command that the doctor names.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  esm repair --all-safe --dry-run
  esm repair --all-safe --yes
  esm repair 1a2b3c4d              # the id of a finding of `esm doctor --all`")]
pub(crate) struct Repair {
    /// Ids of findings of `esm doctor --all`.
    #[arg(value_name = "FINDING", value_parser = args::finding, required_unless_present = "all_safe")]
    findings: Vec<FindingId>,
    /// Mend all findings that need no decision.
    #[arg(long, conflicts_with = "findings")]
    all_safe: bool,
    /// Only show what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

/// Findings that are kept at a time. What is left is found again by another examination.
const AT_ONCE: usize = 10_000;
/// Repairs that are shown at most, and as many that failed; the counts are complete.
const SHOWN: usize = 1000;

#[derive(Debug, Default, Serialize)]
struct Repaired {
    dry_run: bool,
    mended: u64,
    /// Findings that would be mended, in a dry run.
    would_mend: u64,
    /// Findings that were left as they are.
    left: u64,
    failed: u64,
    /// With `--all-safe`, errors and warnings of other kinds.
    others: u64,
    /// Whether it was stopped on request before the end.
    stopped: bool,
    /// Whether there are more findings than can be confirmed at once.
    more: bool,
    repairs: Vec<Attempted>,
    /// Number of repairs that are not shown.
    left_out: u64,
    /// That of the first failure.
    #[serde(skip)]
    exit: Option<Exit>,
}

#[derive(Debug, Serialize)]
struct Attempted {
    #[serde(flatten)]
    finding: ShownFinding,
    #[serde(flatten)]
    became: Became,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Became {
    Mended(Mended),
    Failed {
        outcome: &'static str,
        error: Box<ErrorReport>,
    },
}

/// The place of a finding among those to mend. Documents come before targets, which are kept while their
/// object has none.
type Place = (Severity, FindingKind, Subject);

/// The findings to mend next.
struct Chosen {
    findings: BTreeMap<Place, Finding>,
    /// Whether there are others behind them.
    more: bool,
    /// Errors and warnings of kinds that are not safe to mend.
    others: u64,
}

impl Repair {
    pub(crate) fn access(&self) -> Access {
        if self.dry_run {
            Access::Read
        } else {
            Access::Write
        }
    }

    pub(crate) async fn run(&self, session: &Session) -> Result<Exit> {
        let repaired = if self.dry_run {
            self.mend_all(session, true).await?
        } else if self.yes {
            self.mend_all(session, false).await?
        } else {
            match self.mend_confirmed(session).await? {
                Some(repaired) => repaired,
                None => return Ok(Exit::Success),
            }
        };
        session.output().result(&repaired, text)?;
        Ok(repaired.exit())
    }

    /// Mends what was shown and confirmed, and nothing that is found since. Returns what would be mended
    /// if that is nothing; `None` if it was not confirmed.
    async fn mend_confirmed(&self, session: &Session) -> Result<Option<Repaired>> {
        let output = session.output();
        let chosen = self.chosen(session, None).await?;
        let mut plan = Repaired::new(true, &chosen);
        mend_each(session, &chosen, &mut plan).await;
        plan.more = chosen.more;
        if plan.would_mend == 0 || plan.stopped {
            return Ok(Some(plan));
        }
        output.note(text(&plan, output.note_form()));
        if !confirmed(output, session.interrupt(), "mend these?").await? {
            output.note("nothing was changed");
            return Ok(None);
        }
        let mut repaired = Repaired::new(false, &chosen);
        mend_each(session, &chosen, &mut repaired).await;
        repaired.more = chosen.more;
        Ok(Some(repaired))
    }

    /// Mends the findings, so many at a time, each once.
    async fn mend_all(&self, session: &Session, is_dry: bool) -> Result<Repaired> {
        let mut chosen = self.chosen(session, None).await?;
        let mut repaired = Repaired::new(is_dry, &chosen);
        loop {
            mend_each(session, &chosen, &mut repaired).await;
            let after = chosen.findings.into_keys().next_back();
            if !chosen.more || repaired.stopped {
                return Ok(repaired);
            }
            chosen = self.chosen(session, after.as_ref()).await?;
            repaired.others = chosen.others;
        }
    }

    /// The first findings to mend behind this place.
    ///
    /// # Errors
    /// `NotFound` for an id that no finding has; `Unsupported` for a finding that is not mended here.
    async fn chosen(&self, session: &Session, after: Option<&Place>) -> Result<Chosen> {
        let progress = session.progress("doctor", Unit::Objects, None);
        // what was mended is not found again
        let is_first = after.is_none();
        let mut missing: BTreeSet<&FindingId> = self.findings.iter().filter(|_| is_first).collect();
        let mut named: BTreeMap<FindingId, Place> = BTreeMap::new();
        let (mut refused, mut done) = (None, 0);
        let mut chosen = Chosen {
            findings: BTreeMap::new(),
            more: false,
            others: 0,
        };
        let examined = examiner(session)
            .with_depth(Depth::Normal)
            .examine(&Scope::All, |observed| match observed {
                Observed::Finding(finding) => {
                    let offer = Mender::offers(finding.kind);
                    let is_named = self.findings.contains(&finding.id);
                    missing.remove(&finding.id);
                    if is_named {
                        let place = place(&finding);
                        let other = named.insert(finding.id.clone(), place.clone());
                        if other.is_some_and(|other| other != place) {
                            refused.get_or_insert_with(|| ambiguous(&finding.id));
                        }
                    }
                    if is_named && offer.is_none() {
                        refused.get_or_insert_with(|| refuse(&finding));
                    }
                    let is_other = offer != Some(Offer::Safe) && finding.severity < Severity::Info;
                    chosen.others += u64::from(self.all_safe && is_other);
                    if is_named && offer.is_some() || self.all_safe && offer == Some(Offer::Safe) {
                        chosen.add(*finding, after);
                    }
                }
                _ => {
                    done += 1;
                    progress.at(done);
                }
            })
            .await;
        progress.end();
        examined?;
        if let Some(error) = refused {
            return Err(error);
        }
        if let Some(id) = missing.first() {
            return Err(Error::not_found(format!("no finding has the id: {id}"))
                .with_hint("it may be mended; list the findings with `esm doctor --all`"));
        }
        Ok(chosen)
    }
}

impl Chosen {
    fn add(&mut self, finding: Finding, after: Option<&Place>) {
        let place = place(&finding);
        if after.is_some_and(|after| place <= *after) {
            return;
        }
        self.findings.insert(place, finding);
        if self.findings.len() > AT_ONCE {
            self.findings.pop_last();
            self.more = true;
        }
    }
}

fn place(finding: &Finding) -> Place {
    (finding.severity, finding.kind, finding.subject.clone())
}

/// Mends findings one after the other, until it is to stop.
async fn mend_each(session: &Session, chosen: &Chosen, repaired: &mut Repaired) {
    let mender = mender(session, repaired.dry_run);
    for finding in chosen.findings.values() {
        let mended = match session.interrupt().check() {
            Ok(()) => mender.mend(finding).await,
            Err(stopped) => Err(stopped),
        };
        if is_stop(&mended) {
            repaired.stopped = true;
            return;
        }
        repaired.add(finding, mended);
    }
}

fn ambiguous(id: &FindingId) -> Error {
    Error::invalid(format!("several findings have the id: {id}"))
        .with_hint("mend them with --all-safe, or do what the doctor names as the remedy of each")
}

fn refuse(finding: &Finding) -> Error {
    let shown = ShownFinding::from(finding.clone());
    let message = format!("not mended by repair: {} ({})", shown.id, shown.kind);
    let hint = match shown.commands.first() {
        Some(command) => format!("{}: {command}", shown.remedy),
        None => shown.remedy,
    };
    Error::unsupported(message).with_hint(hint)
}

fn mender(session: &Session, is_dry: bool) -> Mender {
    let (records, locks) = (Arc::clone(session.records()), Arc::clone(session.locks()));
    let mender = Mender::new(session.stores().clone(), records, locks)
        .with_backups(session.backups())
        .with_environment(session.environment().clone())
        .cancel_on(session.interrupt().token().clone());
    if is_dry { mender.dry_run() } else { mender }
}

/// Whether nothing was done because a stop was requested.
fn is_stop(mended: &Result<Mended>) -> bool {
    mended
        .as_ref()
        .is_err_and(|error| *error.kind() == ErrorKind::Cancelled)
}

impl Repaired {
    fn new(is_dry: bool, chosen: &Chosen) -> Self {
        Self {
            dry_run: is_dry,
            others: chosen.others,
            ..Self::default()
        }
    }

    fn add(&mut self, finding: &Finding, mended: Result<Mended>) {
        let (became, shown) = match mended {
            Ok(mended) => {
                match mended.outcome {
                    Outcome::Mended => self.mended += 1,
                    Outcome::WouldMend => self.would_mend += 1,
                    Outcome::Left => self.left += 1,
                    _ => {}
                }
                let failed = usize::try_from(self.failed).unwrap_or(SHOWN).min(SHOWN);
                (Became::Mended(mended), self.repairs.len() - failed)
            }
            Err(error) => {
                self.exit.get_or_insert_with(|| Exit::from(error.kind()));
                let shown = usize::try_from(self.failed).unwrap_or(SHOWN);
                self.failed += 1;
                let error = Box::new(ErrorReport::new(&error));
                let outcome = "failed";
                (Became::Failed { outcome, error }, shown)
            }
        };
        if shown < SHOWN {
            let finding = finding.clone().into();
            self.repairs.push(Attempted { finding, became });
        } else {
            self.left_out += 1;
        }
    }

    fn exit(&self) -> Exit {
        if self.stopped {
            return Exit::Interrupted;
        }
        self.exit.unwrap_or(Exit::Success)
    }
}

fn text(repaired: &Repaired, _form: Form) -> Text {
    let mut text = Text::default();
    for Attempted { finding, became } in &repaired.repairs {
        text.push(format!(
            "{} ({}): {}",
            finding.kind, finding.id, finding.subject
        ));
        match became {
            Became::Mended(mended) => {
                text.push(format!("  {}{}", prefix(mended.outcome), mended.what));
            }
            Became::Failed { error, .. } => text = text.and(error.to_text()),
        }
    }
    if repaired.left_out > 0 {
        text.push(format!("{} more not shown", count(repaired.left_out)));
    }
    if repaired.stopped {
        text.push("stopped on request; repair again to mend what is left");
    }
    if repaired.more {
        text.push("there are more; repair again to mend them");
    }
    if repaired.repairs.is_empty() {
        text.push("nothing to repair");
    } else {
        text.push(summary(repaired));
    }
    if repaired.others > 0 {
        let others = counted(repaired.others, "other finding");
        text.push(format!(
            "{others} not mended by --all-safe: esm doctor --all"
        ));
    }
    text
}

fn summary(repaired: &Repaired) -> String {
    let done = if repaired.dry_run {
        format!("would mend {}", counted(repaired.would_mend, "finding"))
    } else {
        format!("mended {}", counted(repaired.mended, "finding"))
    };
    let (left, failed) = (count(repaired.left), count(repaired.failed));
    format!("{done}; left {left}; failed {failed}")
}

fn prefix(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Mended => "mended: ",
        Outcome::WouldMend => "would be mended: ",
        Outcome::Nothing => "nothing to do: ",
        _ => "left as it is: ",
    }
}
