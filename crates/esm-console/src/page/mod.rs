//! The pages. Each is rendered on the server; the script only keeps it up to date.
//!
//! | file | what |
//! |---|---|
//! | `content` | a page: its content, and the age of what it shows |
//! | `viewer` | what is known of a request for a page, and the answer to it |
//! | `layout` | what is around every page |
//! | `parts` | pieces that pages share: states, terms, numbers with their age |
//! | `overview` | the migrations of all stores |
//! | `migration`, `answers`, `chart`, `steering` | one migration |
//! | `under_way` | the objects that it works on |
//! | `plan`, `difference` | what a migration will do, with events before and after |
//! | `object`, `events` | an object, its streams and its events |
//! | `objects`, `kept` | search; locks and backups |

mod answers;
mod chart;
mod content;
mod difference;
mod events;
mod kept;
mod layout;
mod migration;
mod object;
mod objects;
mod overview;
mod parts;
mod plan;
mod steering;
mod under_way;
mod viewer;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::shared::Shared;

pub(crate) use content::Times;
pub(crate) use layout::{sign_in_page, through_proxy_page};
pub(crate) use viewer::{Fragment, SEEN, STALE, not_found};

/// The routes of the pages. No request to one of them changes anything.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(overview::overview))
        .route("/s/{store}", get(overview::of_store))
        .route("/s/{store}/migrations/{migration}", get(migration::page))
        .route("/s/{store}/migrations/{migration}/plan", get(plan::page))
        .route(
            "/s/{store}/migrations/{migration}/objects",
            get(under_way::page),
        )
        .route("/plans/{number}", get(plan::saved))
        .route("/s/{store}/objects", get(objects::page))
        .route("/s/{store}/objects/{*object}", get(object::page))
        .route("/s/{store}/locks", get(kept::locks))
        .route("/s/{store}/backups", get(kept::backups))
        .route("/search", get(objects::search))
}
