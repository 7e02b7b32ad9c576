//! The histories of all applications, put together.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use esm_core::event::Position;
use esm_core::id::ObjectId;

use super::{Answer, Entry, Loaded, Seen};
use crate::workload::Batch;

/// An append, and what became of it as far as its application knows.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) batch: Batch,
    pub(crate) object: ObjectId,
    pub(crate) expected: Option<Position>,
    /// When it was sent, in nanoseconds.
    pub(crate) invoked: u64,
    /// Absent where the application died before it knew.
    pub(crate) answered: Option<Answered>,
}

/// How an append was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) at: u64,
    pub(crate) nanoseconds: u64,
    pub(crate) requests: u64,
    pub(crate) answer: Answer,
}

impl Attempt {
    /// The position of its first event, if it was acknowledged.
    pub(crate) fn acknowledged(&self) -> Option<&Position> {
        match self.answered.as_ref().map(|answered| &answered.answer) {
            Some(Answer::Acknowledged(position)) => Some(position),
            _ => None,
        }
    }

    /// Whether the response was a conflict: a concurrent append won.
    pub(crate) fn in_conflict(&self) -> bool {
        let answer = self.answered.as_ref().map(|answered| &answered.answer);
        answer == Some(&Answer::Conflict)
    }
}

/// Everything that applications tried, with the responses that they received.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// In the order of their applications and numbers.
    pub(crate) attempts: Vec<Attempt>,
    /// What was read, of which object.
    pub(crate) reads: Vec<(ObjectId, Vec<Seen>)>,
    /// What was loaded, of which object.
    pub(crate) loads: Vec<(ObjectId, Loaded)>,
    /// What failed that must not.
    pub(crate) failures: Vec<String>,
}

impl Told {
    /// Reads all histories of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        let files: std::io::Result<Vec<_>> = entries.map(|e| Ok(e?.path())).collect();
        let mut files = files?;
        files.sort();
        let mut told = Self::default();
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            told.add(&text)
                .with_context(|| file.display().to_string())?;
        }
        Ok(told)
    }

    fn add(&mut self, text: &str) -> Result<()> {
        // what follows the last line end was being written when its process was killed
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut open = BTreeMap::<u64, Attempt>::new();
        for line in whole.lines() {
            match serde_json::from_str(line).with_context(|| line.to_owned())? {
                Entry::Invoked {
                    at,
                    object,
                    batch,
                    expected,
                } => {
                    let attempt = Attempt {
                        batch,
                        object,
                        expected,
                        invoked: at,
                        answered: None,
                    };
                    if open.insert(batch.number, attempt).is_some() {
                        bail!("number {} is used twice", batch.number);
                    }
                }
                Entry::Answered {
                    at,
                    number,
                    nanoseconds,
                    requests,
                    answer,
                } => {
                    let attempt = open.get_mut(&number);
                    let attempt = attempt.context("an answer to nothing")?;
                    attempt.answered = Some(Answered {
                        at,
                        nanoseconds,
                        requests,
                        answer,
                    });
                }
                Entry::Read { object, seen } => self.reads.push((object, seen)),
                Entry::Loaded { object, loaded } => self.loads.push((object, loaded)),
                Entry::Failed { what } => self.failures.push(what),
            }
        }
        self.attempts.extend(open.into_values());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryFile;
    use crate::workload::Edition;

    fn invoked(number: u64) -> Entry {
        Entry::Invoked {
            at: number,
            object: "order/1".parse().unwrap(),
            batch: Batch {
                writer: 1,
                number,
                count: 1,
                edition: Edition::Old,
            },
            expected: None,
        }
    }

    #[test]
    fn what_a_killed_process_wrote_is_read_up_to_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1");
        let mut file = HistoryFile::create(&path).unwrap();
        file.write(&invoked(1)).unwrap();
        file.write(&Entry::Answered {
            at: 9,
            number: 1,
            nanoseconds: 5,
            requests: 1,
            answer: Answer::Conflict,
        })
        .unwrap();
        file.write(&invoked(2)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(r#"{"entry":"answe"#);
        std::fs::write(&path, text).unwrap();

        let told = Told::read(folder.path()).unwrap();
        assert_eq!(told.attempts.len(), 2);
        assert!(told.attempts[0].in_conflict());
        assert!(told.attempts[1].answered.is_none());
    }
}
