//! The driver of the browser, which is a program of this machine.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use thirtyfour::prelude::*;

/// A name of another site that leads to this machine, as an attacker's does.
pub(crate) const FOREIGN: &str = "console.evil.example";

/// Arguments of the browser.
const ARGUMENTS: [&str; 6] = [
    "--headless=new",
    // a container has none, and nothing of others is opened
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--lang=en",
];

/// A running driver. It ends with this value.
#[derive(Debug)]
pub(crate) struct Driver {
    program: Child,
    address: String,
}

impl Driver {
    /// Starts a driver on a free port.
    ///
    /// # Errors
    /// Where there is no `chromedriver`, or it does not say where it listens.
    pub(crate) fn start() -> Result<Self> {
        let mut program = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver cannot be run")?;
        let output = program.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        // it may continue to write
        std::thread::spawn(move || lines.for_each(drop));
        let Some(port) = port else {
            let _ = program.kill();
            bail!("chromedriver has ended: {}", program.wait()?);
        };
        let address = format!("http://127.0.0.1:{port}");
        Ok(Self { program, address })
    }

    /// A fresh browser, which is signed in nowhere.
    pub(crate) async fn browser(&self) -> Result<WebDriver> {
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            capabilities.add_arg(argument)?;
        }
        capabilities.add_arg(&format!("--host-resolver-rules=MAP {FOREIGN} 127.0.0.1"))?;
        let browser = WebDriver::new(&self.address, capabilities).await;
        browser.context("the browser does not start")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
