//! What is around every page.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::content::{Page, Times};
use super::parts::time;
use crate::shared::Shared;

/// The part of a page that changes.
pub(super) fn fragment(page: &Page) -> Markup {
    html! {
        @if let Some(error) = &page.stale {
            p.banner role="status" {
                strong { "The store does not answer. " }
                @if let Some(at) = page.at { "What you see is as of " (time(at)) ". " }
                (error)
                @if let Some(hint) = error.hint() { span.hint { " " (hint) } }
            }
        }
        (page.body)
    }
}

/// For whom a page is.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The path that was asked for.
    pub(super) path: &'a str,
    /// Their name, where a proxy has said it.
    pub(super) name: Option<&'a str>,
    /// Whether commands are offered.
    pub(super) controls: bool,
}

/// A whole page.
pub(super) fn whole(shared: &Shared, reader: &Reader<'_>, page: &Page, now: Timestamp) -> Markup {
    let path = reader.path;
    let times = Times::of(page.at, now, page.stale.is_some());
    let body = html! {
        a.skip href="#main" { "Skip to content" }
        header.top {
            a.brand href="/" { "esm" }
            (navigation(shared, path, page))
            form.search role="search" action="/search" {
                @if let Some(store) = page.store {
                    input type="hidden" name="store" value=(shared.source(store).slug());
                }
                label.hidden for="q" { "Find an object, a migration or a stream" }
                input #q type="search" name="q" placeholder="Find: order/1003, an id …  ( / )"
                    autocomplete="off" spellcheck="false";
            }
            p #live .live role="status" {
                @if let Some(at) = page.at { "as of " (time(at)) }
            }
        }
        main #main tabindex="-1" data-live=(times) { (fragment(page)) }
        footer.bottom {
            @if reader.controls {
                span { "Control is allowed" }
            } @else {
                span { "Read-only" }
            }
            @if let Some(name) = reader.name { span { "Signed in as " (name) } }
            @if let Some(twin) = &page.twin { a href=(twin) { "This page as JSON" } }
            span { "esm " (env!("CARGO_PKG_VERSION")) }
        }
    };
    document(&page.title, &body)
}

fn navigation(shared: &Shared, path: &str, page: &Page) -> Markup {
    let store = page.store.or((shared.sources.len() == 1).then_some(0));
    let current = |of: &str, exact: bool| {
        let is_here = if exact {
            path == of
        } else {
            path.starts_with(of)
        };
        is_here.then_some("page")
    };
    html! {
        nav.main aria-label="Pages" {
            a href="/" aria-current=[current("/", true)] { "Migrations" }
            @if let Some(store) = store {
                @let root = format!("/s/{}", shared.source(store).slug());
                @for (name, path) in [("Objects", "objects"), ("Backups", "backups"), ("Locks", "locks")] {
                    @let path = format!("{root}/{path}");
                    a href=(path) aria-current=[current(&path, false)] { (name) }
                }
            }
            @for (number, (name, _)) in shared.options.plans.iter().enumerate() {
                @let path = format!("/plans/{}", number + 1);
                a href=(path) aria-current=[current(&path, true)] { "Plan " (name) }
            }
        }
    }
}

/// The page to sign in. Without a script the code is typed.
pub(crate) fn sign_in_page(next: &str, was_refused: bool) -> Markup {
    let body = html! {
        main #main .narrow {
            section.card {
                h1 { "Sign in" }
                @if was_refused {
                    p.problem role="alert" {
                        "This code is not valid, or was used already. "
                        "The terminal of " code { "esm console" } " shows a new link after each sign-in."
                    }
                } @else {
                    p { "Open the link that " code { "esm console" } " has printed. It works once; "
                        "then this browser stays signed in until the console ends." }
                }
                form #sign-in method="post" action="/session" {
                    input type="hidden" name="next" value=(next);
                    label for="code" { "Code, the part of the link after " code { "#code=" } }
                    input #code type="text" name="code" required autocomplete="off" spellcheck="false";
                    button type="submit" { "Sign in" }
                }
            }
        }
    };
    document("Sign in", &body)
}

/// The page for whom no proxy has signed in.
pub(crate) fn through_proxy_page() -> Markup {
    let body = html! {
        main #main .narrow {
            section.card {
                h1 { "Not signed in" }
                p { "This console is reached through a proxy that signs people in. Open it at the address of the proxy. "
                    "If you have come that way, the proxy has not said who you are: see the options "
                    code { "--trusted-proxy" } " and " code { "--user-header" } " of " code { "esm console" } "." }
            }
        }
    };
    document("Not signed in", &body)
}

/// The page where nothing is.
pub(super) fn not_found() -> Markup {
    let body = html! {
        main #main .narrow {
            section.card {
                h1 { "Not found" }
                p { "There is nothing at this address." }
                p { a href="/" { "All migrations" } }
            }
        }
    };
    document("Not found", &body)
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · esm" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/console.css";
                script src="/assets/console.js" defer {}
            }
            body { (body) }
        }
    }
}
