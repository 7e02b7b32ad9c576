//! A version of a record (docs/formats.md, "Layout on an object store").

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::cell::check;

/// Reads a version of a record, and checks what it says of itself; returns the value that was put.
pub(crate) fn decode(bytes: &[u8], number: u64) -> Result<Value> {
    let end = bytes
        .iter()
        .position(|b| *b == b'\n')
        .context("no first line")?;
    let (line, body) = (std::str::from_utf8(&bytes[..end])?, &bytes[end + 1..]);
    let first: Value = serde_json::from_str(line).context("a first line that is no JSON")?;
    ensure!(first["esm_record"] == 1, "not a record of version 1");
    ensure!(
        first["number"] == number,
        "number {}, in the file of {number}",
        first["number"]
    );
    ensure!(
        first["bytes"] == body.len(),
        "{} bytes, not {}",
        body.len(),
        first["bytes"]
    );
    let checked = line.rfind(",\"crc32\"").context("no checksum")?;
    check(
        &first["crc32"],
        &[&line.as_bytes()[..checked], body].concat(),
    )?;
    serde_json::from_slice(body).context("a record that is no JSON")
}
