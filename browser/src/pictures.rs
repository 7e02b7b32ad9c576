//! Pictures of pages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::drive::{Look, ask, look};

/// Writes pictures. Paths of this run are shown as a folder that anybody may have.
#[derive(Debug)]
pub(crate) struct Pictures {
    directory: PathBuf,
    album: Option<PathBuf>,
    /// The name of the folder of this run, which is replaced.
    place: String,
}

/// Replaces a text wherever the page shows it.
const RENAME: &str = r#"
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (node.nodeValue.includes(arguments[0])) {
    node.nodeValue = node.nodeValue.replaceAll(arguments[0], arguments[1]);
  }
}
"#;

impl Pictures {
    pub(crate) fn new(directory: &Path, album: Option<&Path>, place: &Path) -> Result<Self> {
        for directory in [Some(directory), album].into_iter().flatten() {
            fs::create_dir_all(directory)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            album: album.map(Path::to_owned),
            place: place.file_name().unwrap_or_default().display().to_string(),
        })
    }

    /// A picture for the documentation, of at most this height.
    pub(crate) async fn take(&self, page: &WebDriver, name: &str, most: f64) -> Result<()> {
        look(page, Look::USUAL).await?;
        self.write(page, &self.directory.join(format!("{name}.png")), most)
            .await
    }

    /// A picture to look at, where an album is wanted.
    pub(crate) async fn collect(&self, page: &WebDriver, name: &str, looks: Look) -> Result<()> {
        let Some(album) = &self.album else {
            return Ok(());
        };
        let file = album.join(format!("{name}-{}.png", looks.name()));
        self.write(page, &file, 4_000.0).await
    }

    /// What a browser shows, whatever that is.
    pub(crate) async fn of_failure(&self, page: &WebDriver) -> Result<PathBuf> {
        let file = self.directory.join("failed.png");
        self.write(page, &file, 4_000.0).await?;
        Ok(file)
    }

    async fn write(&self, page: &WebDriver, file: &Path, most: f64) -> Result<()> {
        // in two steps: paths are in links of their own, too
        ask(page, RENAME, vec![json!(self.place), json!("demo")]).await?;
        // behind a dialog the page continues
        let size = "
            const height = document.body.getBoundingClientRect().height;
            const isCovered = document.querySelector('dialog[open]');
            return [document.documentElement.clientWidth, isCovered ? innerHeight : Math.ceil(height)]";
        let size = ask(page, size, Vec::new()).await?;
        let number = |at: usize| size[at].as_f64().context("no size");
        let clip = json!({
            "x": 0, "y": 0, "scale": 1,
            "width": number(0)?, "height": number(1)?.min(most),
        });
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = page
            .cdp()
            .send_raw("Page.captureScreenshot", wanted)
            .await?;
        let data = taken
            .get("data")
            .and_then(Value::as_str)
            .context("no picture")?;
        fs::write(file, STANDARD.decode(data)?)?;
        Ok(())
    }
}
