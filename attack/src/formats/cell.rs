//! A cell: one atomic write to a stream (docs/formats.md, "Cell").

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A cell whose checks have passed.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// `cell` of its first line.
    header: Value,
    /// The events, a line each.
    pub(crate) events: Vec<String>,
}

impl Cell {
    /// Reads a cell and checks everything that it says of itself.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let end = bytes
            .iter()
            .position(|b| *b == b'\n')
            .context("no first line")?;
        let (line, stored) = (std::str::from_utf8(&bytes[..end])?, &bytes[end + 1..]);
        let checked = line.rfind(",\"crc32\":\"").context("no checksum")?;
        let first: Value = serde_json::from_str(line).context("a first line that is no JSON")?;
        ensure!(
            line.starts_with("{\"esm_cell\":1,"),
            "not a cell of version 1"
        );
        check(&first["crc32"], &line.as_bytes()[..checked]).context("first line")?;
        let body = &first["body"];
        ensure!(
            body["stored"] == stored.len(),
            "{} bytes of body, not {}",
            stored.len(),
            body["stored"]
        );
        check(&body["crc32"], stored).context("body")?;
        let plain = match body["compression"].as_str() {
            Some("none") => stored.to_vec(),
            Some("zstd") => zstd::decode_all(stored)?,
            _ => bail!("unknown compression {}", body["compression"]),
        };
        ensure!(
            body["bytes"] == plain.len(),
            "{} bytes, not {}",
            plain.len(),
            body["bytes"]
        );
        ensure!(
            plain.is_empty() || plain.ends_with(b"\n"),
            "a last line without an end"
        );
        let events: Vec<String> = String::from_utf8(plain)?
            .lines()
            .map(str::to_owned)
            .collect();
        let cell = Self {
            header: first["cell"].clone(),
            events,
        };
        let is_data = cell.header["kind"]["data"].is_object();
        let count = cell.number("count")?;
        if is_data {
            ensure!(
                cell.events.len() as u64 == count,
                "{} events, not {count}",
                cell.events.len()
            );
        }
        check_runs(&first["sources"], count)?;
        Ok(cell)
    }

    pub(crate) fn number(&self, field: &str) -> Result<u64> {
        let value = self.header[field].as_u64();
        value.with_context(|| format!("no number in {field}"))
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.header[field].as_str()
    }

    /// The Close that it is.
    pub(crate) fn close(&self) -> Option<&Value> {
        self.header["kind"].get("close")
    }

    /// Whether an application appended it: it has events, and no copier's cursor.
    pub(crate) fn is_appended(&self) -> bool {
        let data = self.header["kind"].get("data");
        data.is_some_and(|data| data.get("cursor").is_none_or(Value::is_null))
            && self.origin().is_none()
    }

    /// The origin of the first cell of a migration's target.
    pub(crate) fn origin(&self) -> Option<&Value> {
        self.header["kind"].get("data")?.get("origin")
    }
}

/// The same cell with another header, and checksums that agree with it.
pub(crate) fn forge(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Result<Vec<u8>> {
    let end = bytes
        .iter()
        .position(|b| *b == b'\n')
        .context("no first line")?;
    let mut first: Value = serde_json::from_slice(&bytes[..end])?;
    change(&mut first["cell"]);
    let mut line = format!("{{\"esm_cell\":1,\"cell\":{}", first["cell"]);
    for field in ["sources", "body"] {
        if !first[field].is_null() {
            line += &format!(",\"{field}\":{}", first[field]);
        }
    }
    let sum = crc32fast::hash(line.as_bytes());
    let mut forged = format!("{line},\"crc32\":\"{sum:08x}\"}}\n").into_bytes();
    forged.extend(&bytes[end + 1..]);
    Ok(forged)
}

/// Whether a CRC-32 in hexadecimal is that of these bytes.
pub(super) fn check(sum: &Value, of: &[u8]) -> Result<()> {
    let right = format!("{:08x}", crc32fast::hash(of));
    ensure!(*sum == *right, "checksum {sum}, not {right}");
    Ok(())
}

/// The runs of source revisions add up to the events.
fn check_runs(runs: &Value, count: u64) -> Result<()> {
    let Some(runs) = runs.as_array() else {
        return Ok(());
    };
    let sum: u64 = runs.iter().filter_map(|run| run[1].as_u64()).sum();
    ensure!(
        sum == count,
        "source revisions of {sum} events, not of {count}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell as the document describes it, made by hand.
    fn cell() -> Vec<u8> {
        let body = "{\"specversion\":\"1.0\",\"id\":\"a\",\"type\":\"T\"}\n";
        let sum = crc32fast::hash(body.as_bytes());
        let line = format!(
            "{{\"esm_cell\":1,\"cell\":{{\"seq\":0,\"first_revision\":0,\"count\":1,\"commit\":\"c\",\
             \"previous\":null,\"last_control\":null,\"kind\":{{\"data\":{{}}}}}},\"body\":\
             {{\"bytes\":{0},\"stored\":{0},\"compression\":\"none\",\"crc32\":\"{sum:08x}\"}}",
            body.len()
        );
        let sum = crc32fast::hash(line.as_bytes());
        format!("{line},\"crc32\":\"{sum:08x}\"}}\n{body}").into_bytes()
    }

    #[test]
    fn a_forged_cell_passes_its_own_checks() -> Result<()> {
        let forged = forge(&cell(), |header| header["commit"] = Value::from("d"))?;
        assert_eq!(Cell::decode(&forged)?.text("commit"), Some("d"));
        Ok(())
    }

    #[test]
    fn a_sound_cell_is_read_and_every_flipped_byte_is_noticed() -> Result<()> {
        let sound = cell();
        assert_eq!(Cell::decode(&sound)?.events.len(), 1);
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(Cell::decode(&damaged).is_err(), "byte {at}");
        }
        for length in 0..sound.len() {
            assert!(Cell::decode(&sound[..length]).is_err(), "cut at {length}");
        }
        Ok(())
    }
}
