//! What the parts of the story share: a store, a console, browsers.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::Arguments;
use crate::axe::Axe;
use crate::browser::Driver;
use crate::drive::{self, Look, open, until};
use crate::esm::{Console, Esm, Process};
use crate::pictures::Pictures;

/// How the first migration works before it is hurried: for a minute or more.
const SLOWLY: [&str; 2] = ["--events-per-second", "60"];

/// What the parts share.
pub(crate) struct World {
    pub(crate) esm: Esm,
    pub(crate) pictures: Pictures,
    pub(crate) axe: Option<Axe>,
    pub(crate) console: Console,
    /// The arguments of the console.
    pub(crate) arguments: Vec<String>,
    pub(crate) store: String,
    /// All migrations that were begun.
    pub(crate) known: Vec<String>,
    /// The migration that the story is about now, and its process.
    pub(crate) migration: String,
    pub(crate) running: Process,
    /// A browser that is signed in.
    pub(crate) page: WebDriver,
    /// That of another operator.
    pub(crate) other: WebDriver,
    // removed last
    directory: TempDir,
}

impl World {
    /// A store with orders, a backup and a plan; a migration that works on it; a console, and two
    /// browsers that are signed in.
    pub(crate) async fn begin(
        arguments: &Arguments,
        driver: &Driver,
        axe: Option<Axe>,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("esm-browser-").tempdir()?;
        let esm = Esm::new(&arguments.binary, &directory.path().join("shop"));
        let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        let (plan, backups) = (path("plan.json"), format!("file://{}", path("backups")));
        let program = arguments.examples.join("orders.jq");
        let orders = arguments.examples.join("orders.ndjson");
        esm.run(&["import", &orders.to_string_lossy()])?;
        let transform = program.to_string_lossy();
        esm.run(&["plan", "--all", "--transform", &transform, "--save", &plan])?;
        esm.run(&["backup", "create", "--all", "--backup", &backups])?;
        let running = esm.migrate(&program, &SLOWLY)?;
        let migration = begun(&esm, &[]).await?;
        let arguments_of_console = [
            "--listen",
            "127.0.0.1:0",
            "--allow-control",
            "--author",
            "ann@ops",
            "--plan",
            &plan,
            "--backup",
            &backups,
        ];
        let mut console = esm.console(&arguments_of_console)?;
        let (page, other) = (driver.browser().await?, driver.browser().await?);
        for browser in [&page, &other] {
            drive::look(browser, Look::USUAL).await?;
            sign_in(browser, &mut console).await?;
        }
        let stores = drive::ask(
            &page,
            "return fetch('/api/v1/stores').then((r) => r.json()).then((j) => j.stores[0].store)",
            Vec::new(),
        );
        let store = stores.await?.as_str().context("no store")?.to_owned();
        Ok(Self {
            pictures: Pictures::new(
                &arguments.pictures,
                arguments.album.as_deref(),
                directory.path(),
            )?,
            arguments: arguments_of_console.map(str::to_owned).to_vec(),
            esm,
            axe,
            console,
            store,
            known: vec![migration.clone()],
            migration,
            running,
            page,
            other,
            directory,
        })
    }

    /// An address of the console.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.console.address)
    }

    /// The path of a page of the store.
    pub(crate) fn of_store(&self, path: &str) -> String {
        format!("/s/{}{path}", self.store)
    }

    /// The path of the page of the migration.
    pub(crate) fn of_migration(&self) -> String {
        self.of_store(&format!("/migrations/{}", self.migration))
    }

    pub(crate) async fn open(&self, path: &str) -> Result<()> {
        open(&self.page, &self.at(path)).await
    }

    /// A path in the folder of this run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Checks a page as it is now, in both colours and widths; keeps a picture of each.
    ///
    /// # Errors
    /// With all violations, and where the page is wider than the screen.
    pub(crate) async fn check(&self, page: &WebDriver, name: &str) -> Result<()> {
        for look in Look::ALL {
            drive::look(page, look).await?;
            let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            let wide = drive::ask(page, wide, Vec::new()).await?;
            anyhow::ensure!(wide == 0, "{name}, {}: {wide} px too wide", look.name());
            self.pictures.collect(page, name, look).await?;
            if let Some(axe) = &self.axe {
                let checked = axe.check(page).await;
                checked.with_context(|| format!("{name}, {}", look.name()))?;
            }
        }
        drive::look(page, Look::USUAL).await
    }

    /// Keeps pictures of what both browsers show. Returns where.
    pub(crate) async fn keep_what_failed(&self) -> String {
        match self.pictures.of_failure(&self.page).await {
            Ok(file) => format!("the page is shown in {}", file.display()),
            Err(error) => format!("there is no picture of the page: {error:#}"),
        }
    }

    pub(crate) async fn end(self) -> Result<()> {
        self.page.quit().await?;
        self.other.quit().await?;
        Ok(())
    }
}

/// The id of a migration that has begun and is none of these.
pub(crate) async fn begun(esm: &Esm, known: &[String]) -> Result<String> {
    const LOOKS: usize = 600;
    for _ in 0..LOOKS {
        if let Some(id) = esm.new_migration(known)? {
            return Ok(id);
        }
        drive::pause().await;
    }
    anyhow::bail!("no migration has begun")
}

/// Opens a link that signs a browser in, and waits for the page behind it.
pub(crate) async fn sign_in(page: &WebDriver, console: &mut Console) -> Result<()> {
    let link = console.link()?;
    open(page, &link).await?;
    let script =
        "return !document.getElementById('sign-in') && !!document.querySelector('#live.on')";
    until(page, "a page that is signed in and live", script)
        .await
        .map(drop)
}
