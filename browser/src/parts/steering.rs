//! Commands from the browser, to a real `esm migrate`.

use anyhow::{Result, ensure};
use serde_json::json;
use thirtyfour::prelude::*;

use crate::drive::{ask, click, fill, open, press, tab_to, until, until_text};
use crate::world::{World, begun};

/// Height of a picture that is to be seen at a glance.
const GLANCE: f64 = 900.0;

pub(super) async fn paused_by_keyboard(world: &mut World) -> Result<()> {
    world.open("/").await?;
    let page = &world.page;
    press(page, "/").await?;
    let short = &world.migration[world.migration.len() - 8..];
    press(page, TypingData::from(short) + Key::Enter).await?;
    until(
        page,
        "the page of the migration",
        "return location.pathname.includes('/migrations/')",
    )
    .await?;
    tab_to(page, "[data-dialog=pause]").await?;
    press(page, Key::Enter).await?;
    let inside = "
        const dialog = document.querySelector('dialog[open]');
        return dialog && dialog.contains(document.activeElement)";
    until(page, "a dialog with the focus", inside).await?;
    for _ in 0..12 {
        press(page, Key::Tab).await?;
        // the browser's own bar is the one place outside
        let trapped = "
            const at = document.activeElement;
            return at === document.body || document.querySelector('dialog[open]').contains(at)";
        ensure!(
            ask(page, trapped, Vec::new()).await? == true,
            "the focus left the dialog"
        );
    }
    press(page, Key::Escape).await?;
    let back = "
        return !document.querySelector('dialog[open]')
            && document.activeElement.matches('[data-dialog=pause]')";
    until(page, "the focus back at the button", back).await?;
    press(page, Key::Enter).await?;
    until(page, "the dialog", inside).await?;
    press(page, "lunch").await?;
    world.pictures.take(page, "control", GLANCE).await?;
    world.check(page, "control").await?;
    press(page, Key::Enter).await?;
    until(
        page,
        "a closed dialog",
        "return !document.querySelector('dialog[open]')",
    )
    .await?;
    until(
        page,
        "a paused migration",
        "return document.querySelector('.hero .chip')?.textContent === 'paused'",
    )
    .await?;
    let status = world.esm.status(&world.migration)?;
    ensure!(status["condition"] == "paused", "{status}");
    until(page, "who paused it, and why", "
        const row = [...document.querySelectorAll('tbody tr')].find((tr) => tr.textContent.includes('pause'));
        return row && row.cells[1].textContent === 'ann@ops' && row.cells[3].textContent === 'lunch'")
    .await?;
    Ok(())
}

/// Gives a command by its dialog, and waits until that closes.
async fn give(page: &WebDriver, act: &str, reason: &str, confirm: Option<&str>) -> Result<()> {
    ask_for(page, act, reason, confirm).await?;
    until(
        page,
        "an accepted command",
        "return !document.querySelector('dialog[open]')",
    )
    .await?;
    Ok(())
}

async fn ask_for(page: &WebDriver, act: &str, reason: &str, confirm: Option<&str>) -> Result<()> {
    begin(page, act, reason).await?;
    if let Some(confirm) = confirm {
        fill(page, &format!("#dialog-{act} [name=confirm]"), confirm).await?;
    }
    click(page, &format!("#dialog-{act} [type=submit]")).await
}

/// Opens a dialog and gives a reason.
async fn begin(page: &WebDriver, act: &str, reason: &str) -> Result<()> {
    let button = format!("[data-dialog={act}]");
    until(
        page,
        &format!("a button to {act}"),
        &format!("return !!document.querySelector('{button}')"),
    )
    .await?;
    click(page, &button).await?;
    fill(page, &format!("#dialog-{act} [name=reason]"), reason).await
}

pub(super) async fn hurried(world: &mut World) -> Result<()> {
    let page = &world.page;
    let buttons = "return !document.querySelector('[data-dialog=pause]')";
    until(page, "no button to pause what is paused", buttons).await?;
    give(page, "resume", "lunch is over", None).await?;
    until(
        page,
        "a migration at work",
        "return !!document.querySelector('[data-dialog=pause]')",
    )
    .await?;
    begin(page, "set", "nobody is there").await?;
    fill(page, "#dialog-set [name=events_per_second]", "unlimited").await?;
    click(page, "#dialog-set [type=submit]").await?;
    until(
        page,
        "an accepted change",
        "return !document.querySelector('dialog[open]')",
    )
    .await?;
    until(
        page,
        "its end",
        "return document.querySelector('.hero .chip')?.textContent === 'completed'",
    )
    .await?;
    ensure!(world.running.ended()?, "the migration has failed");
    Ok(())
}

/// How a migration waits for the command to cut over.
const MANUAL: [&str; 2] = ["--cutover", "manual"];

/// Another migration, of the events that the first has made.
pub(super) async fn another_waits(world: &mut World) -> Result<()> {
    let program = world.file("v3.jq");
    std::fs::write(&program, ".schemaversion = 3 | .data.edition = 3")?;
    world.running = world.esm.migrate(&program, &MANUAL)?;
    world.migration = begun(&world.esm, &world.known).await?;
    world.known.push(world.migration.clone());
    world.open(&world.of_migration()).await?;
    until(
        &world.page,
        "a migration that is ready",
        "return document.querySelector('.hero .chip')?.textContent === 'ready'",
    )
    .await?;
    Ok(())
}

/// Both have read that it is ready, and both press the button.
pub(super) async fn two_operators(world: &mut World) -> Result<()> {
    for page in [&world.page, &world.other] {
        open(page, &world.at(&world.of_migration())).await?;
        begin(page, "cutover", "the window is open").await?;
    }
    let submit = "#dialog-cutover [type=submit]";
    tokio::try_join!(click(&world.page, submit), click(&world.other, submit))?;
    let settled = "
        const dialog = document.querySelector('dialog[open]');
        if (!dialog) return 'accepted';
        const problem = dialog.querySelector('[role=alert]');
        return !problem.hidden && problem.textContent";
    let one = until(&world.page, "an answer", settled).await?;
    let two = until(&world.other, "an answer", settled).await?;
    let answers = [one.as_str(), two.as_str()].map(Option::unwrap_or_default);
    let accepted = answers
        .iter()
        .filter(|answer| **answer == "accepted")
        .count();
    let refused = answers
        .iter()
        .any(|answer| answer.contains("refused") || answer.contains("has ended"));
    ensure!(accepted == 1 && refused, "{answers:?}");
    ensure!(world.running.ended()?, "the migration has failed");
    open(&world.page, &world.at(&world.of_migration())).await?;
    until(
        &world.page,
        "its end",
        "return document.querySelector('.hero .chip')?.textContent === 'completed'",
    )
    .await?;
    until_text(&world.page, "the window is open").await?;
    let verified = world.esm.run(&["verify", "--all", "--output", "json"])?;
    ensure!(
        verified.contains("\"equal\":true") || verified.contains("\"equal\": true"),
        "{verified}"
    );
    Ok(())
}

pub(super) async fn cancelled(world: &mut World) -> Result<()> {
    let program = world.file("v4.jq");
    std::fs::write(&program, ".schemaversion = 4 | .data.edition = 4")?;
    let mut running = world.esm.migrate(&program, &MANUAL)?;
    let migration = begun(&world.esm, &world.known).await?;
    world.known.push(migration.clone());
    let page = &world.page;
    world.open("/").await?;
    until_text(page, "Waiting for a person").await?;
    world.pictures.take(page, "overview", GLANCE).await?;
    world
        .open(&world.of_store(&format!("/migrations/{migration}")))
        .await?;
    ask_for(page, "cancel", "wrong program", Some("12345678")).await?;
    until_text(page, "the confirmation is not the migration's id").await?;
    let short = &migration[migration.len() - 8..];
    fill(page, "#dialog-cancel [name=confirm]", short).await?;
    click(page, "#dialog-cancel [type=submit]").await?;
    until(
        page,
        "its end",
        "return document.querySelector('.hero .chip')?.textContent === 'cancelled'",
    )
    .await?;
    running.ended()?;
    let status = world.esm.status(&migration)?;
    ensure!(status["status"] == "cancelled", "{status}");
    let commands = ask(
        page,
        "return document.body.innerText.includes(arguments[0])",
        vec![json!("wrong program")],
    );
    ensure!(commands.await? == true, "the reason is not shown");
    let other = world.esm.status(&world.migration)?;
    ensure!(other["status"] == "completed", "{other}");
    Ok(())
}
