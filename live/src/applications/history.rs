//! Checks what is stored against the responses that applications received.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::crew::{Done, State};

/// An event as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Row {
    account: String,
    number: i64,
    kind: String,
    version: Option<String>,
    content: Content,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    command: String,
    email: Option<String>,
    euros: Option<f64>,
    cents: Option<i64>,
    balance: Option<i64>,
}

/// The old name of the event that opens an account.
const RETIRED: &str = "Opened";

/// What masks an address.
const ERASED: &str = "erased";

impl Row {
    pub(super) fn of(row: &tokio_postgres::Row) -> Result<Self> {
        let content: String = row.try_get(4)?;
        Ok(Self {
            account: row.try_get(0)?,
            number: row.try_get(1)?,
            kind: row.try_get(2)?,
            version: row.try_get(3)?,
            content: serde_json::from_str(&content).context(content)?,
        })
    }

    /// Whether it is in the new schema, and nothing is left of the old one.
    pub(super) fn is_new(&self) -> bool {
        let Content {
            email,
            euros,
            cents,
            ..
        } = &self.content;
        let version = self.version.as_deref().unwrap_or("2");
        let opens = email.as_deref() == Some(ERASED) && cents.is_none();
        let pays = email.is_none() && cents.is_some();
        self.kind != RETIRED && version.starts_with('2') && euros.is_none() && (opens || pays)
    }

    /// By how much it changes the balance, in cents; nothing where it opens an account.
    fn change(&self) -> Option<i64> {
        let euros = |euros: f64| (euros * 100.0).round() as i64;
        let cents = self.content.cents.or(self.content.euros.map(euros))?;
        let withdrawn = self.kind.ends_with("Withdrawn");
        Some(if withdrawn { -cents } else { cents })
    }
}

/// Checks that the events are those of the commands, each once, and returns the states.
///
/// Numbers have no gaps; every balance follows from the events before it; the commands of each
/// process are in the order in which it executed them.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check(rows: &[Row], done: &[Done]) -> Result<BTreeMap<String, State>> {
    let mut expected: BTreeMap<&str, &Done> = BTreeMap::new();
    for done in done {
        let earlier = expected.insert(&done.command, done);
        ensure!(earlier.is_none(), "executed twice: {}", done.command);
    }
    let mut states = BTreeMap::<String, State>::new();
    let mut latest = BTreeMap::new();
    for row in rows {
        let state = states.entry(row.account.clone()).or_default();
        state.events += 1;
        ensure!(
            row.number == state.events as i64,
            "a gap before event {} of {}",
            row.number,
            row.account
        );
        let Some(change) = row.change() else {
            ensure!(state.events == 1, "opened twice: {}", row.account);
            continue;
        };
        let command = row.content.command.as_str();
        let done = expected.remove(command);
        let done = done.with_context(|| format!("not executed, or stored twice: {command}"))?;
        state.cents += change;
        ensure!(
            done.cents == change && done.account == row.account,
            "not what was executed: {row:?}"
        );
        ensure!(
            row.content.balance == Some(state.cents),
            "not the balance: {row:?}"
        );
        let (process, number) = command.split_once('-').context("a command of nobody")?;
        let number: u64 = number.parse()?;
        let before = latest.insert((row.account.as_str(), process), number);
        ensure!(before < Some(number), "out of order: {row:?}");
    }
    ensure!(expected.is_empty(), "lost: {:?}", expected.values().next());
    Ok(states)
}

/// Checks that each event was consumed once, and those of an account in order.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check_consumed(
    states: &BTreeMap<String, State>,
    seen: &[(String, u64)],
) -> Result<()> {
    let mut next = BTreeMap::<&str, u64>::new();
    for (account, number) in seen {
        let last = next.entry(account).or_default();
        ensure!(
            *number == *last + 1,
            "consumed event {number} of {account} after event {last}"
        );
        *last = *number;
    }
    for (account, state) in states {
        let last = next.remove(account.as_str()).unwrap_or_default();
        ensure!(last == state.events, "not consumed: the end of {account}");
    }
    ensure!(next.is_empty(), "consumed, not stored: {next:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64, kind: &str, command: &str, cents: Option<i64>, balance: i64) -> Row {
        Row {
            account: "a".into(),
            number,
            kind: kind.into(),
            version: None,
            content: Content {
                command: command.into(),
                email: cents.is_none().then(|| "erased".into()),
                euros: None,
                cents,
                balance: cents.map(|_| balance),
            },
        }
    }

    fn done(command: &str, cents: i64) -> Done {
        Done {
            account: "a".into(),
            command: command.into(),
            cents,
            microseconds: 1,
        }
    }

    fn rows() -> Vec<Row> {
        vec![
            row(1, "AccountOpened", "p-1-opens", None, 0),
            row(2, "Deposited", "p-1", Some(5), 5),
            row(3, "Withdrawn", "p-2", Some(7), -2),
        ]
    }

    #[test]
    fn what_was_executed_is_stored_once_and_in_order() {
        let done = [done("p-1", 5), done("p-2", -7)];
        let states = check(&rows(), &done).unwrap();
        let state = State {
            cents: -2,
            events: 3,
        };
        assert_eq!(states, [("a".to_owned(), state)].into());
        assert!(rows().iter().all(Row::is_new));
    }

    #[test]
    fn what_is_wrong_is_found() {
        let both = [done("p-1", 5), done("p-2", -7)];
        let wrong = |change: fn(&mut Vec<Row>), done: &[Done], why: &str| {
            let mut rows = rows();
            change(&mut rows);
            let error = check(&rows, done).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        wrong(|rows| drop(rows.pop()), &both, "lost");
        wrong(|_| (), &both[..1], "not executed");
        wrong(|rows| rows[2].content.balance = Some(0), &both, "balance");
        wrong(|rows| drop(rows.remove(1)), &both, "gap");
        let swapped = |rows: &mut Vec<Row>| {
            rows[1].content.command = "p-3".into();
        };
        let reversed = [done("p-3", 5), done("p-2", -7)];
        wrong(swapped, &reversed, "out of order");
        wrong(|rows| rows[1].content.cents = Some(6), &both, "executed");
    }

    #[test]
    fn what_is_consumed_twice_or_never_is_found() {
        let state = State {
            cents: 0,
            events: 2,
        };
        let states = [("a".to_owned(), state)].into();
        let consumed = |numbers: &[u64]| {
            let seen: Vec<_> = numbers.iter().map(|n| ("a".to_owned(), *n)).collect();
            check_consumed(&states, &seen)
        };
        assert!(consumed(&[1, 2]).is_ok());
        for wrong in [&[1][..], &[2], &[1, 1, 2], &[2, 1], &[1, 2, 3]] {
            assert!(consumed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_left_of_the_old_schema_is_found() {
        let old: [fn(&mut Row); 4] = [
            |row| row.kind = "Opened".into(),
            |row| row.version = Some("1.0".into()),
            |row| row.content.email = Some("x@bank.test".into()),
            |row| row.content.euros = Some(1.0),
        ];
        for change in old {
            let mut row = rows().remove(0);
            change(&mut row);
            assert!(!row.is_new(), "{row:?}");
        }
    }
}
