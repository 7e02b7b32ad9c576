//! Damage at rest: every file of a small store is changed in every way, and every command must
//! notice that, or return what it returned before.

mod aftermath;
mod change;
mod fixture;
mod judge;
mod names;
mod question;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::report::{Finding, Tally};
use crate::{files, formats};
use aftermath::Aftermath;
use change::{Change, What};
use fixture::Fixture;
use judge::{Files, Verdict, judge};
use question::{Baseline, DOCTOR};

/// How much of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Flip every n-th byte of the store; 1 flips each
    #[arg(long, default_value_t = 97, value_name = "N")]
    stride: usize,
    /// Make every n-th change of whole files
    #[arg(long, default_value_t = 1, value_name = "N")]
    files_stride: usize,
    /// Make this change alone, e.g. `flip esm.json 7 1`; with `--on`
    #[arg(long, value_name = "CHANGE")]
    change: Option<Change>,
}

/// Everything that the workers share.
#[derive(Debug)]
struct Attack<'a> {
    context: &'a Context,
    fixture: Fixture,
    before: Files,
    baseline: Baseline,
    aftermath: Aftermath,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<Tally> {
    let fixture = match &context.on {
        Some(directory) => Fixture::load(&context.esm, directory)?,
        None => fixture::build(&context.esm, &context.directory("damage")?)?,
    };
    let changes = changes(context, options, &fixture)?;
    let attack = Attack {
        context,
        before: Files {
            paths: files::below(&fixture.store)?,
            appended: formats::appended(&fixture.store)?,
            unclosed: formats::unclosed(&fixture.store)?,
        },
        baseline: Baseline::of(&context.esm, &fixture)?,
        aftermath: Aftermath::of(&context.esm, &fixture, &context.root)?,
        fixture,
    };
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::of("damage"));
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..context.jobs)
            .map(|number| {
                let (attack, changes, next, tally) = (&attack, &changes, &next, &tally);
                scope.spawn(move || attack.work(number, changes, next, tally))
            })
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    })?;
    let mut tally = tally.into_inner().context("a worker panicked")?;
    let files = attack.before.paths.len() as u64;
    tally.counts.insert("files".to_owned(), files);
    Ok(tally)
}

/// The changes to make, those of whole files first.
fn changes(context: &Context, options: &Options, fixture: &Fixture) -> Result<Vec<Change>> {
    if let Some(change) = &options.change {
        return Ok(vec![change.clone()]);
    }
    let thinned = |changes: Vec<Change>, stride: usize| {
        let first = (context.seed % stride.max(1) as u64) as usize;
        changes.into_iter().skip(first).step_by(stride.max(1))
    };
    let mut all: Vec<Change> =
        thinned(change::of_files(&fixture.store)?, options.files_stride).collect();
    all.extend(thinned(change::of_bytes(&fixture.store)?, options.stride));
    Ok(all)
}

impl Attack<'_> {
    /// Makes one change after the other on a copy of its own.
    fn work(
        &self,
        number: usize,
        changes: &[Change],
        next: &AtomicUsize,
        tally: &Mutex<Tally>,
    ) -> Result<()> {
        let store = self
            .context
            .directory(&format!("worker-{number}"))?
            .join("store");
        files::copy(&self.fixture.store, &store)?;
        while let Some(change) = changes.get(next.fetch_add(1, Ordering::Relaxed)) {
            if self.context.is_over() {
                break;
            }
            let found = self.try_change(&store, change)?;
            tally
                .lock()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))?
                .add(found);
        }
        Ok(())
    }

    fn try_change(&self, store: &Path, change: &Change) -> Result<Tally> {
        let mut tally = Tally::of("damage");
        tally.rounds = 1;
        tally.count(change.what.name());
        change.apply(store)?;
        let damaged = files::below(store)?;
        let (mut seen, mut diagnosed) = (None, false);
        for question in self.baseline.questions() {
            let small = matches!(change.what, What::Flip(..));
            if small && !question.concerns(&change.path) {
                continue;
            }
            let answer = question.ask(&self.context.esm, store, &self.fixture.store)?;
            match judge(&self.baseline, question, &answer, change, &self.before) {
                Verdict::Harmless | Verdict::Unnoticeable => {}
                Verdict::Seen if question.line == DOCTOR => diagnosed = true,
                Verdict::Seen => seen = Some(&question.line),
                Verdict::Fault { kind, happened } => {
                    tally.findings.push(self.finding(change, kind, happened));
                }
            }
        }
        tally.count(match (seen, diagnosed) {
            (Some(_), _) => "seen",
            (None, true) => "seen by doctor alone",
            (None, false) => "harmless",
        });
        if let Some(line) = seen.filter(|_| !diagnosed && !judge::only_informs(change)) {
            let happened = format!("esm {line} notices it, esm {DOCTOR} does not");
            let kind = format!(
                "doctor: unnoticed ({} {})",
                change.what.name(),
                judge::subject(change)
            );
            tally.findings.push(self.finding(change, kind, happened));
        }
        if files::below(store)? != damaged {
            let happened = "a command that only reads left other files".to_owned();
            let kind = format!("writes while reading ({})", judge::subject(change));
            tally.findings.push(self.finding(change, kind, happened));
        }
        if !matches!(change.what, What::Flip(at, _) if at % 8 != 0) {
            let scratch = store.parent().unwrap_or(store);
            let faults =
                self.aftermath
                    .try_all(&self.context.esm, store, scratch, change, &self.before)?;
            for fault in faults {
                tally
                    .findings
                    .push(self.finding(change, fault.kind, fault.happened));
            }
        }
        self.undo(store, change)?;
        Ok(tally)
    }

    fn finding(&self, change: &Change, kind: String, happened: String) -> Finding {
        let kept = self.fixture.store.parent().unwrap_or(&self.fixture.store);
        Finding {
            kind,
            happened: format!("{change}: {happened}"),
            right: "an error with exit code 9 (3 for what is gone) that names the file or the \
                    object, or the same output as before"
                .to_owned(),
            again: self.context.again(&format!(
                "damage --on {} --change '{change}'",
                kept.display()
            )),
        }
    }

    /// Makes the copy what the store is.
    fn undo(&self, store: &Path, change: &Change) -> Result<()> {
        for path in change.touches(&self.before.paths) {
            files::restore(&self.fixture.store, store, &path)?;
        }
        if files::below(store)? != self.before.paths {
            files::copy(&self.fixture.store, store)?;
        }
        Ok(())
    }
}
