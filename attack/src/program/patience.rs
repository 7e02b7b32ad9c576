//! Waiting for what another process does. There is no event to wait for: it writes files.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Lets time pass.
#[expect(
    clippy::disallowed_methods,
    reason = "the processes under attack have real clocks, and this one has nothing else to do"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Polls a condition until it holds; whether it does within the limit.
pub(crate) fn until(limit: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    let begun = Instant::now();
    while !holds()? {
        if begun.elapsed() > limit {
            return Ok(false);
        }
        pause(Duration::from_millis(4));
    }
    Ok(true)
}
