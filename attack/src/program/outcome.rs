//! How a command ended, and what holds for every end of every command (docs/cli.md).

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde_json::Value;

/// Exit codes that docs/cli.md names.
const CODES: [i32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
    /// It did not end within this time, and was killed.
    Hung(Duration),
}

/// How a command ended, and what it wrote.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) ended: Ended,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn succeeded(&self) -> bool {
        self.ended == Ended::Code(0)
    }

    /// Whether this is in an error, a warning or, where it failed, in its output.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.stderr.contains(name) || (!self.succeeded() && self.stdout.contains(name))
    }

    /// The error: the last line on standard error, or in the report of a migration.
    pub(crate) fn error(&self) -> Option<Value> {
        let last = |text: &str| {
            let last = text.lines().rev().find(|line| !line.is_empty())?;
            let document: Value = serde_json::from_str(last).ok()?;
            document.get("error").cloned()
        };
        last(&self.stderr).or_else(|| last(&self.stdout).filter(Value::is_object))
    }

    /// The kind of the error, or nothing.
    pub(crate) fn kind(&self) -> String {
        let error = self.error().unwrap_or_default();
        error["kind"].as_str().unwrap_or_default().to_owned()
    }

    /// What is wrong with it whatever the command and the store: a panic, a death, a hang, a code
    /// that is not documented, an error that contradicts its code.
    pub(crate) fn bad_manners(&self) -> Option<String> {
        let code = match self.ended {
            Ended::Code(code) => code,
            Ended::Signal(signal) => return Some(format!("died of signal {signal}")),
            Ended::Hung(limit) => return Some(format!("still running after {limit:?}")),
        };
        if self.stderr.contains("panicked at") || code == 101 {
            return Some(format!("panicked: {}", self.last_words()));
        }
        if !CODES.contains(&code) {
            return Some(format!("undocumented exit code {code}"));
        }
        let error = self.error()?;
        (error["exit_code"] != code)
            .then(|| format!("exit code {code}, but its error says {error}"))
    }

    /// The end of what it wrote to standard error.
    pub(crate) fn last_words(&self) -> String {
        let lines = self.stderr.lines().rev();
        let last = lines
            .filter(|line| !line.is_empty())
            .take(1)
            .collect::<String>();
        last.chars().take(500).collect()
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.ended {
            Ended::Code(code) => write!(f, "exit {code}")?,
            Ended::Signal(signal) => write!(f, "signal {signal}")?,
            Ended::Hung(limit) => write!(f, "killed after {limit:?}")?,
        }
        match self.last_words() {
            words if words.is_empty() => Ok(()),
            words => write!(f, ": {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: i32, stdout: &str, stderr: &str) -> Outcome {
        Outcome {
            ended: Ended::Code(code),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn an_error_is_found_on_standard_error_and_in_a_report() {
        let error = "{\"error\":{\"kind\":\"corrupt\",\"exit_code\":9}}";
        assert_eq!(
            outcome(9, "", &format!("a note\n{error}\n")).kind(),
            "corrupt"
        );
        assert_eq!(outcome(9, error, "a warning\n").kind(), "corrupt");
        assert_eq!(outcome(0, "{\"error\":null}", "").kind(), "");
    }

    #[test]
    fn an_end_that_is_not_documented_is_bad() {
        assert!(outcome(0, "", "").bad_manners().is_none());
        assert!(outcome(101, "", "").bad_manners().is_some());
        assert!(outcome(77, "", "").bad_manners().is_some());
        assert!(
            outcome(1, "", "thread 'main' panicked at a.rs")
                .bad_manners()
                .is_some()
        );
        let other = "{\"error\":{\"kind\":\"corrupt\",\"exit_code\":9}}";
        assert!(outcome(8, "", other).bad_manners().is_some());
    }
}
