//! A backup's files.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The lines of the events of a backup, after the checks that its manifest makes possible.
pub(crate) fn backup_events(folder: &Path) -> Result<Vec<String>> {
    let manifest = std::fs::read(folder.join("manifest.json")).context("no manifest")?;
    let manifest: Value = serde_json::from_slice(&manifest).context("not a manifest")?;
    let mut contents = Vec::new();
    for part in ["events", "sections"] {
        let name = file_of(folder, part)?;
        let stored = std::fs::read(folder.join(&name))?;
        let sum = blake3::hash(&stored).to_hex().to_string();
        ensure!(
            manifest.to_string().contains(&sum),
            "another checksum than the manifest: {name}"
        );
        let text = String::from_utf8(zstd::decode_all(&*stored)?)?;
        contents.push(text.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    let (sections, events) = (contents.pop(), contents.pop());
    let (sections, events) = (sections.unwrap_or_default(), events.unwrap_or_default());
    ensure!(
        manifest["events"] == events.len(),
        "another number of events than the manifest"
    );
    ensure!(
        manifest["sections"] == sections.len(),
        "another number of sections than the manifest"
    );
    Ok(events)
}

fn file_of(folder: &Path, part: &str) -> Result<String> {
    let end = format!("{part}.ndjson.zst");
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(&end) {
            return Ok(name);
        }
    }
    anyhow::bail!("a backup without its {part}")
}
