//! Every page, in both colours and widths.

use anyhow::Result;

use crate::drive::{click, fill, open, until, until_text};
use crate::world::World;

/// Height of a picture that shows a page to its end.
const WHOLE: f64 = 2_600.0;

pub(super) async fn while_it_works(world: &mut World) -> Result<()> {
    world.open("/").await?;
    until_text(&world.page, "events/s").await?;
    world.check(&world.page, "overview-working").await?;
    world.open(&world.of_migration()).await?;
    let chart = "return document.querySelectorAll('figure svg').length > 0";
    until(&world.page, "charts", chart).await?;
    world.pictures.take(&world.page, "migration", WHOLE).await?;
    world.check(&world.page, "migration-working").await
}

pub(super) async fn every_page(world: &mut World) -> Result<()> {
    for (name, path, seen) in [
        ("overview", "/".to_owned(), "Ended"),
        ("migration", world.of_migration(), "What is happening?"),
        (
            "preview",
            format!("{}/plan", world.of_migration()),
            "Events before and after",
        ),
        (
            "under-way",
            format!("{}/objects", world.of_migration()),
            "Objects under way",
        ),
        ("plan", "/plans/1".to_owned(), "Events before and after"),
        ("objects", world.of_store("/objects"), "Name and key"),
        ("object", world.of_store("/objects/order/1003"), "Streams"),
        ("locks", world.of_store("/locks"), "Locks"),
        (
            "backups",
            world.of_store("/backups"),
            "Backups and archives",
        ),
        ("search", "/search?q=order/10".to_owned(), "Search"),
        (
            "missing",
            world.of_store("/objects/order/none"),
            "Not found",
        ),
    ] {
        world.open(&path).await?;
        until_text(&world.page, seen).await?;
        if let "plan" | "object" | "backups" = name {
            if name == "object" {
                click(&world.page, ".events summary").await?;
            }
            world.pictures.take(&world.page, name, WHOLE).await?;
        }
        world.check(&world.page, name).await?;
    }
    signed_out(world).await
}

/// The page to sign in, without and after a code that is not valid.
async fn signed_out(world: &World) -> Result<()> {
    let page = &world.other;
    page.delete_all_cookies().await?;
    open(page, &world.at("/")).await?;
    world.check(page, "sign-in").await?;
    fill(page, "#code", "nonsense").await?;
    click(page, "#sign-in [type=submit]").await?;
    until_text(page, "This code is not valid").await?;
    world.check(page, "refused").await
}
