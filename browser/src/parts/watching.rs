//! Live pages.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::drive::{ask, open, prepare, until, until_text};
use crate::world::{World, sign_in};

pub(super) async fn numbers_move(world: &mut World) -> Result<()> {
    world.open(&world.of_migration()).await?;
    let page = &world.page;
    let copied = "
        const term = [...document.querySelectorAll('dl.facts dt')].find((dt) => dt.textContent === 'events copied');
        return term && term.nextElementSibling.textContent";
    ask(page, "window.isTheSame = true", Vec::new()).await?;
    let before = until(page, "events copied", copied).await?;
    let moved = format!("const now = (() => {{ {copied} }})(); return now !== {before} && now");
    until(page, "other numbers", &moved).await?;
    let same = ask(page, "return window.isTheSame === true", Vec::new()).await?;
    ensure!(same == true, "the page was loaded again");
    Ok(())
}

/// The clock of the browser is an hour ahead of that of the server.
pub(super) async fn clocks_may_differ(world: &mut World) -> Result<()> {
    let page = &world.other;
    prepare(
        page,
        "const real = Date.now; Date.now = () => real() + 3600000;",
    )
    .await?;
    open(page, &world.at(&world.of_migration())).await?;
    let live = "const live = document.getElementById('live'); return live.className === 'live on' && live.textContent";
    let text = until(page, "live numbers", live).await?;
    let text = text.as_str().context("a text")?;
    ensure!(!text.contains(" h ago"), "{text}");
    let times = ask(
        page,
        "return [...document.querySelectorAll('main time')].map((time) => time.textContent)",
        Vec::new(),
    );
    let times = times.await?;
    let times = times.as_array().context("times")?;
    ensure!(times.len() > 2, "{times:?}");
    let is_wrong = |time: &&Value| time.as_str().is_some_and(|text| text.contains(" h ago"));
    ensure!(!times.iter().any(|time| is_wrong(&time)), "{times:?}");
    Ok(())
}

/// Browsers permit six connections to a server: hidden tabs must hold none.
pub(super) async fn eight_tabs(world: &mut World) -> Result<()> {
    let page = &world.page;
    let first = page.window().await?;
    let address = world.at(&world.of_migration());
    for _ in 0..7 {
        let tab = page.new_tab().await?;
        page.switch_to_window(tab).await?;
        open(page, &address).await?;
        until(
            page,
            "a live tab",
            "return !!document.querySelector('#live.on, #live.old')",
        )
        .await?;
    }
    for tab in page.windows().await? {
        if tab != first {
            page.switch_to_window(tab).await?;
            page.close_window().await?;
        }
    }
    page.switch_to_window(first).await?;
    Ok(())
}

pub(super) async fn a_restart(world: &mut World) -> Result<()> {
    world.open("/").await?;
    let address = world.console.address.clone();
    let port = address.rsplit(':').next().context("a port")?.to_owned();
    let mut arguments = world.arguments.clone();
    arguments[1] = format!("127.0.0.1:{port}");
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    world.console.stop()?;
    let page = &world.page;
    until(
        page,
        "that it is away",
        "return document.querySelector('#live.off')?.textContent.includes('not connected')",
    )
    .await?;
    world.console = world.esm.console(&arguments)?;
    // sessions end with the console that began them
    until_text(page, "signed out").await?;
    ensure!(world.console.address == address, "another port");
    sign_in(page, &mut world.console).await
}
