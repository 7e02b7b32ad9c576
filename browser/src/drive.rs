//! What a person does with a page, and what a page shows.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

/// How long a page may take to show something.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two polls of a page.
const LOOK: Duration = Duration::from_millis(50);

/// The width of a screen, and its colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) is_dark: bool,
}

impl Look {
    pub(crate) const WIDE: u32 = 1280;
    pub(crate) const NARROW: u32 = 320;
    /// That of the pictures in the documentation.
    pub(crate) const USUAL: Self = Self {
        width: Self::WIDE,
        is_dark: false,
    };
    pub(crate) const ALL: [Self; 4] = [
        Self::USUAL,
        Self {
            width: Self::WIDE,
            is_dark: true,
        },
        Self {
            width: Self::NARROW,
            is_dark: false,
        },
        Self {
            width: Self::NARROW,
            is_dark: true,
        },
    ];

    pub(crate) fn name(self) -> String {
        let colours = if self.is_dark { "dark" } else { "light" };
        format!("{colours}-{}", self.width)
    }
}

/// Asks a page. The script is the body of a function; arguments are `arguments[0]` and so on.
pub(crate) async fn ask(page: &WebDriver, script: &str, arguments: Vec<Value>) -> Result<Value> {
    let answer = page.execute(script, arguments).await;
    let answer = answer.with_context(|| format!("a script failed: {script}"))?;
    Ok(answer.json().clone())
}

/// Waits until a script returns something that is true, and returns it.
///
/// # Errors
/// Where it does not within half a minute: what was waited for, and what the page shows.
pub(crate) async fn until(page: &WebDriver, what: &str, script: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let answer = ask(page, script, Vec::new()).await;
        match &answer {
            Ok(Value::Null | Value::Bool(false)) => {}
            Ok(found) => return Ok(found.clone()),
            // the page may be on its way to another
            Err(_) if begun.elapsed() < PATIENCE => {}
            Err(error) => bail!("{what}: {error:#}"),
        }
        if begun.elapsed() > PATIENCE {
            let shown = ask(
                page,
                "return document.body.innerText.slice(0, 1500)",
                Vec::new(),
            );
            bail!("not seen: {what}; the page shows: {}", shown.await?);
        }
        pause().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a real browser's time")]
pub(crate) async fn pause() {
    tokio::time::sleep(LOOK).await;
}

/// Waits until a page contains this text.
pub(crate) async fn until_text(page: &WebDriver, text: &str) -> Result<()> {
    let script = format!("return document.body.innerText.includes({})", json!(text));
    until(page, &format!("the text {text:?}"), &script)
        .await
        .map(drop)
}

/// Opens a page.
pub(crate) async fn open(page: &WebDriver, address: &str) -> Result<()> {
    let opened = page.goto(address).await;
    opened.with_context(|| format!("cannot be opened: {address}"))
}

/// Gives a browser a screen.
pub(crate) async fn look(page: &WebDriver, look: Look) -> Result<()> {
    let scheme = if look.is_dark { "dark" } else { "light" };
    let cdp = page.cdp();
    let screen = json!({
        "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": false,
    });
    cdp.send_raw("Emulation.setDeviceMetricsOverride", screen)
        .await?;
    let media = json!({"features": [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]});
    cdp.send_raw("Emulation.setEmulatedMedia", media).await?;
    Ok(())
}

/// Runs a script in every document that the browser opens from now on, before its own.
pub(crate) async fn prepare(page: &WebDriver, script: &str) -> Result<()> {
    let script = json!({ "source": script });
    let cdp = page.cdp();
    cdp.send_raw("Page.addScriptToEvaluateOnNewDocument", script)
        .await?;
    Ok(())
}

/// Presses keys, wherever the focus is.
pub(crate) async fn press(page: &WebDriver, keys: impl Into<TypingData>) -> Result<()> {
    let keys = keys.into();
    page.action_chain().send_keys(keys).perform().await?;
    Ok(())
}

/// Presses Tab until something with this selector has the focus.
pub(crate) async fn tab_to(page: &WebDriver, selector: &str) -> Result<()> {
    const MOST: usize = 120;
    let script = "return document.activeElement.matches(arguments[0])";
    for _ in 0..MOST {
        press(page, Key::Tab).await?;
        if ask(page, script, vec![json!(selector)]).await? == true {
            return Ok(());
        }
    }
    bail!("not reached by Tab: {selector}")
}

/// Clicks on something.
pub(crate) async fn click(page: &WebDriver, selector: &str) -> Result<()> {
    let found = page.find(By::Css(selector)).await;
    let found = found.with_context(|| format!("there is no {selector}"))?;
    found
        .click()
        .await
        .with_context(|| format!("cannot be clicked: {selector}"))
}

/// Types a text into a field, in place of what is in it.
pub(crate) async fn fill(page: &WebDriver, selector: &str, text: &str) -> Result<()> {
    let found = page.find(By::Css(selector)).await;
    let found = found.with_context(|| format!("there is no {selector}"))?;
    found.clear().await?;
    found.send_keys(text).await?;
    Ok(())
}
