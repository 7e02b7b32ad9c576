//! axe-core, which finds what keeps people from using a page.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use thirtyfour::prelude::*;

use crate::drive::ask;

const VERSION: &str = "4.10.3";

/// Rules of WCAG 2.2 at level AA, and what is good practice beyond.
const RUN: &str = r#"
const done = arguments[arguments.length - 1];
const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
axe.run(document, { runOnly: { type: "tag", values: tags }, resultTypes: ["violations"] })
  .then((found) => done({
    passes: found.passes.length,
    violations: found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(" ")}`),
  }))
  .catch((error) => done({ violations: [String(error)] }));
"#;

/// The script of axe-core.
#[derive(Debug)]
pub(crate) struct Axe(String);

impl Axe {
    /// Installs it once, in this folder.
    ///
    /// # Errors
    /// Where there is no npm, or its registry does not answer.
    pub(crate) fn installed(packages: &Path) -> Result<Self> {
        let directory = packages.join(format!("axe-core-{VERSION}"));
        let script = directory.join("node_modules/axe-core/axe.min.js");
        if !script.exists() {
            fs::create_dir_all(&directory)?;
            let output = Command::new("npm")
                .args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"])
                .arg(&directory)
                .arg(format!("axe-core@{VERSION}"))
                .stdin(Stdio::null())
                .output()
                .context("npm cannot be run")?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                bail!("axe-core cannot be installed: {}", said.trim());
            }
        }
        Ok(Self(fs::read_to_string(script)?))
    }

    /// Checks a page as it is now.
    ///
    /// # Errors
    /// All violations, and where nothing could be checked.
    pub(crate) async fn check(&self, page: &WebDriver) -> Result<()> {
        if ask(page, "return typeof axe === 'undefined'", Vec::new()).await? == true {
            page.execute(self.0.as_str(), Vec::new()).await?;
        }
        let found = page.execute_async(RUN, Vec::new()).await?;
        let found = found.json();
        let violations = found["violations"].as_array().cloned().unwrap_or_default();
        if !violations.is_empty() {
            let all: Vec<_> = violations.iter().filter_map(Value::as_str).collect();
            bail!("axe: {}", all.join("\n"));
        }
        // a page that could not be read has no violations either
        if found["passes"].as_u64().unwrap_or(0) < 5 {
            bail!("axe has checked nothing: {found}");
        }
        Ok(())
    }
}
