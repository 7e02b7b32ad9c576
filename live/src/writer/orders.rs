//! The orders that an application reads from its standard input, and the reports that it prints on
//! its standard output.
//!
//! A line of input is the edition of the code to continue with. The end of the input means stop, so
//! that no application outlives the process that started it.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

use crate::workload::Edition;

/// What an application reports after each append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// How many of its appends were acknowledged.
    pub(crate) acknowledged: u64,
    /// The edition of the code that it runs.
    pub(crate) edition: Edition,
}

impl Report {
    /// From a line.
    pub(crate) fn from_line(line: &str) -> Result<Self> {
        let (acknowledged, edition) = line.split_once(' ').context("no report")?;
        Ok(Self {
            acknowledged: acknowledged.parse()?,
            edition: Edition::from_name(edition)?,
        })
    }
}

/// Listens to standard input: gives editions, until it is disconnected at the end.
pub(super) fn listen() -> mpsc::UnboundedReceiver<Edition> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(edition) = Edition::from_name(&line) else {
                return;
            };
            if sender.send(edition).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Prints a report on standard output.
pub(super) fn report(report: &Report) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{} {}", report.acknowledged, report.edition.name())?;
    Ok(output.flush()?)
}
