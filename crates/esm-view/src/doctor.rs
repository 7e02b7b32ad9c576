//! What a doctor found: the document of `esm doctor`.

use esm_core::doctor::{
    Depth, Examined, Finding, FindingId, FindingKind, Remedy, Severity, Subject,
};
use esm_core::id::ObjectId;
use esm_core::repair::Repair;
use serde::Serialize;

/// Findings of each severity that are shown at most; the counts are complete.
pub const SHOWN: usize = 1000;

/// An examination, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Checkup {
    /// Whether there is no error: no event, document or backup is damaged or missing.
    pub sound: bool,
    /// How much was read.
    pub depth: Depth,
    /// What was examined.
    #[serde(flatten)]
    pub examined: Examined,
    /// What was found, the worst first.
    pub findings: Vec<ShownFinding>,
    /// Number of findings that are not shown.
    pub left_out: u64,
}

/// A finding, what it means, and what mends it.
#[derive(Debug, Clone, Serialize)]
pub struct ShownFinding {
    /// Its id.
    pub id: FindingId,
    /// What it is.
    pub kind: FindingKind,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, in words.
    pub subject: String,
    /// The object that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectId>,
    /// What was seen.
    pub detail: String,
    /// What it means for those who read.
    pub readers: &'static str,
    /// What it means for those who append, migrate or restore.
    pub writers: &'static str,
    /// The commands that mend it; of several, any one, unless the remedy says otherwise.
    pub commands: Vec<String>,
    /// How it is mended, in words.
    pub remedy: String,
}

/// Collects findings, at most [`SHOWN`] of each severity.
#[derive(Debug, Default)]
pub struct Findings {
    shown: [Vec<ShownFinding>; 3],
    left_out: u64,
}

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        let shown = &mut self.shown[finding.severity as usize];
        if shown.len() < SHOWN {
            shown.push(finding.into());
        } else {
            self.left_out += 1;
        }
    }

    /// The document of an examination of this depth.
    pub fn finish(self, depth: Depth, examined: Examined) -> Checkup {
        let mut findings: Vec<_> = self.shown.into_iter().flatten().collect();
        findings.sort_by(|a, b| {
            (a.severity, a.kind, &a.subject, &a.detail)
                .cmp(&(b.severity, b.kind, &b.subject, &b.detail))
        });
        Checkup {
            sound: examined.errors == 0,
            depth,
            examined,
            findings,
            left_out: self.left_out,
        }
    }
}

impl From<Finding> for ShownFinding {
    fn from(finding: Finding) -> Self {
        let object = match &finding.subject {
            Subject::Object(object) | Subject::StreamOf { object, .. } => Some(object.clone()),
            _ => None,
        };
        let (mut commands, remedy) = mended_by(&finding.remedy);
        if Repair::offers(finding.kind).is_some() {
            commands.push(format!("esm repair {}", finding.id));
        }
        Self {
            id: finding.id,
            kind: finding.kind,
            severity: finding.severity,
            subject: finding.subject.to_string(),
            object,
            detail: finding.detail,
            readers: finding.kind.for_readers(),
            writers: finding.kind.for_writers(),
            commands,
            remedy,
        }
    }
}

/// The commands that mend a finding, and how it is mended in words.
fn mended_by(remedy: &Remedy) -> (Vec<String>, String) {
    let (commands, words): (Vec<String>, &str) = match remedy {
        Remedy::RestoreObject(object) => (
            vec![format!(
                "esm backup restore BACKUP --object {} --replace",
                quoted(object)
            )],
            "put the files back from a copy of the storage, or restore a backup of the object",
        ),
        Remedy::RestoreAgain(backup) => (
            vec![format!("esm backup restore {}", quoted(backup))],
            "repeat the restore with the options that it was begun with",
        ),
        Remedy::PutBack => (Vec::new(), "put the files back from a copy of the storage"),
        Remedy::Rebuild => (
            Vec::new(),
            "write the document again from the streams, or put it back from a copy of the storage, \
             which has users' metadata too",
        ),
        Remedy::ResumeOrRollBack(migration) => (
            vec![
                format!("esm resume {migration}"),
                format!("esm rollback {migration}"),
            ],
            "resume the migration, or roll it back",
        ),
        Remedy::RollBack(migration) => (
            vec![format!("esm rollback {migration}")],
            "roll the migration back again",
        ),
        Remedy::MigrateAgain => (
            Vec::new(),
            "migrate the same objects again: the new migration takes over from the streams",
        ),
        // these decide by what only a person knows: no command to be run as it is
        Remedy::BreakLock(_) => (
            Vec::new(),
            "wait: the lock expires; or, if its holder is dead, break it with `esm lock break`",
        ),
        Remedy::DeleteBackup(_) => (
            Vec::new(),
            "wait if it is being written now; otherwise create another backup, then remove this one \
             with `esm backup delete`",
        ),
        Remedy::PruneBackups => (vec!["esm backup prune".to_owned()], "prune the backups"),
        Remedy::NameStore => (Vec::new(), "name the store with --other-store URL"),
        Remedy::Later(words) | Remedy::Nothing(words) => (Vec::new(), words),
        _ => (Vec::new(), "update esm"),
    };
    (commands, words.to_owned())
}

/// A word as a shell reads it.
fn quoted(word: &impl ToString) -> String {
    let word = word.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_so_that_a_shell_reads_them_back() {
        assert_eq!(quoted(&"order/1"), "order/1");
        assert_eq!(quoted(&"object order/1"), "'object order/1'");
        assert_eq!(quoted(&"it's; rm"), r"'it'\''s; rm'");
        assert_eq!(quoted(&""), "''");
    }
}
