//! When a source may be closed.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a source that is ready may be closed, and how long that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CutoverOptions {
    /// When.
    pub mode: CutoverMode,
    /// Close attempts lost to concurrent appends before giving up; the source is untouched then.
    pub attempts: u64,
    /// Time after the first attempt before giving up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up_after: Option<Duration>,
}

impl Default for CutoverOptions {
    fn default() -> Self {
        Self {
            mode: CutoverMode::Automatic,
            attempts: 64,
            give_up_after: None,
        }
    }
}

/// When a source that is ready may be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CutoverMode {
    /// At once.
    #[default]
    Automatic,
    /// On command. Until then the migration copies and compares what is appended.
    Manual {
        /// How long it waits, once it is ready.
        max_wait: Option<Duration>,
    },
    /// In a window of time, or on command before it.
    At {
        /// The begin of the window.
        from: Timestamp,
        /// Its end: a migration that has not cut over by then stops.
        until: Option<Timestamp>,
    },
}

impl CutoverOptions {
    /// Waits for the cutover command. Defaults to unlimited; see [`max_wait`](Self::max_wait).
    #[must_use]
    pub fn manual(mut self) -> Self {
        self.mode = CutoverMode::Manual { max_wait: None };
        self
    }

    /// Waits for the cutover command at most this long once it is ready; then it stops, with the
    /// source untouched.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        let max_wait = Some(wait);
        self.mode = CutoverMode::Manual { max_wait };
        self
    }

    /// Waits for this time.
    #[must_use]
    pub fn not_before(mut self, from: Timestamp) -> Self {
        self.mode = CutoverMode::At { from, until: None };
        self
    }

    /// Waits for this window; when it has passed it stops, with the source untouched.
    #[must_use]
    pub fn within(mut self, from: Timestamp, until: Timestamp) -> Self {
        let until = Some(until);
        self.mode = CutoverMode::At { from, until };
        self
    }

    /// Close attempts lost to concurrent appends before giving up.
    #[must_use]
    pub fn attempts(mut self, attempts: u64) -> Self {
        self.attempts = attempts;
        self
    }

    /// Time to retry the Close against concurrent appends before giving up.
    #[must_use]
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up_after = Some(time);
        self
    }

    /// What is wrong with them, if anything.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self.mode {
            _ if self.attempts == 0 => Some("cutover attempts must not be 0"),
            CutoverMode::At {
                from,
                until: Some(until),
            } if until <= from => Some("the window of the cutover ends before it begins"),
            _ => None,
        }
    }
}

/// Whether a source that is ready may be closed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Not yet: what it waits for.
    Wait(String),
    /// Not any more: why.
    TooLate(String),
}

/// Whether a source that has been ready this long may be closed: pure.
pub(crate) fn gate(mode: CutoverMode, told: bool, now: Timestamp, ready_for: Duration) -> Gate {
    match mode {
        _ if told => Gate::Open,
        CutoverMode::Automatic => Gate::Open,
        CutoverMode::Manual { max_wait } if max_wait.is_some_and(|most| ready_for >= most) => {
            Gate::TooLate("no cutover command arrived in time".to_owned())
        }
        CutoverMode::Manual { .. } => Gate::Wait("the command to cut over".to_owned()),
        CutoverMode::At { from, .. } if now < from => {
            Gate::Wait(format!("the window that begins at {from}"))
        }
        CutoverMode::At { until, .. } => match until.filter(|until| now >= *until) {
            Some(until) => Gate::TooLate(format!("its window to cut over has passed at {until}")),
            None => Gate::Open,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn every_mode_opens_when_it_says_and_when_it_is_told() {
        let manual = CutoverOptions::default()
            .max_wait(Duration::from_secs(5))
            .mode;
        let window = CutoverOptions::default().within(at(10), at(20)).mode;
        let ready = Duration::from_secs;
        for mode in [CutoverMode::Automatic, manual, window] {
            assert_eq!(gate(mode, true, at(0), ready(0)), Gate::Open, "{mode:?}");
        }
        assert_eq!(
            gate(CutoverMode::Automatic, false, at(0), ready(9)),
            Gate::Open
        );
        assert!(matches!(
            gate(manual, false, at(0), ready(4)),
            Gate::Wait(_)
        ));
        assert!(matches!(
            gate(manual, false, at(0), ready(5)),
            Gate::TooLate(_)
        ));
        assert!(matches!(
            gate(window, false, at(9), ready(0)),
            Gate::Wait(_)
        ));
        assert_eq!(gate(window, false, at(10), ready(0)), Gate::Open);
        assert_eq!(gate(window, false, at(19), ready(0)), Gate::Open);
        assert!(matches!(
            gate(window, false, at(20), ready(0)),
            Gate::TooLate(_)
        ));
        let forever = CutoverOptions::default().manual().mode;
        assert!(matches!(
            gate(forever, false, at(0), Duration::MAX),
            Gate::Wait(_)
        ));
    }

    #[test]
    fn a_window_without_an_end_stays_open() {
        let options = CutoverOptions::default().not_before(at(10));
        assert!(matches!(
            gate(options.mode, false, at(9), Duration::MAX),
            Gate::Wait(_)
        ));
        for second in [10, 1_000_000] {
            let gate = gate(options.mode, false, at(second), Duration::MAX);
            assert_eq!(gate, Gate::Open);
        }
    }

    #[test]
    fn the_attempts_are_bounded_as_asked() {
        let (attempts, time) = (7, Duration::from_secs(9));
        let options = CutoverOptions::default()
            .manual()
            .attempts(attempts)
            .give_up_after(time);
        let asked = CutoverOptions {
            mode: CutoverMode::Manual { max_wait: None },
            attempts,
            give_up_after: Some(time),
        };
        assert_eq!(options, asked);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert_eq!(CutoverOptions::default().fault(), None);
        assert!(CutoverOptions::default().attempts(0).fault().is_some());
        assert!(
            CutoverOptions::default()
                .within(at(3), at(3))
                .fault()
                .is_some()
        );
    }
}
