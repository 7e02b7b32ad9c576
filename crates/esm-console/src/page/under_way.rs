//! The objects that a migration works on: their phases, and how far their targets are behind.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use esm_core::id::MigrationId;
use esm_view::units::{count, counted};
use maud::{Markup, html};

use super::content::Page;
use super::overview::{Paging, pager};
use super::parts::{breakable, object_address, term};
use super::viewer::Viewer;
use crate::model::{OBJECTS_OF_PAGE, UnderWay};
use crate::shared::{Shared, Store};
use crate::source::short;

/// `/s/{store}/migrations/{migration}/objects`
pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    viewer: Viewer,
    Path((slug, migration)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    let load = async {
        let store = shared.find(&slug)?;
        let migration = shared.migration_of(store, &migration).await?;
        let read = shared.under_way(store, migration, paging.page).await;
        Ok(Page::of_read(store, &read, |found| {
            let twin = format!("/api/v1/stores/{slug}/migrations/{migration}/objects");
            let title = format!("Objects of {}", short(migration));
            let body = body(&shared, store, migration, &paging, found);
            Page::new(title, body).with_twin(twin)
        }))
    };
    viewer.answer(&shared, load.await)
}

fn body(
    shared: &Shared,
    store: Store,
    migration: MigrationId,
    paging: &Paging,
    found: &UnderWay,
) -> Markup {
    let source = shared.source(store);
    let slug = source.slug();
    html! {
        header.head {
            h1 { "Objects under way" }
            p.small {
                a href={ "/s/" (slug) "/migrations/" (migration) } { "Migration " (short(migration)) }
                " · " (breakable(source.location()))
            }
        }
        p.note {
            "Large objects that the migration works on now, those that are behind the most first. "
            "Small ones are migrated at once, and are not listed."
        }
        @if found.objects.is_empty() {
            p.empty { "No large object is under way now." }
        } @else {
            section.card {
                div.scroll tabindex="0" role="region" aria-label="Objects under way" {
                    table {
                        thead { tr {
                            th { "object" } th { (term("phase")) } th.number { "events" } th.number { (term("lag")) }
                        } }
                        tbody {
                            @for one in &found.objects {
                                tr data-key=(one.object) {
                                    td { a href=(object_address(&slug, &one.object)) { (one.object) } }
                                    td { (one.phase) }
                                    td.number { (count(one.events)) }
                                    td.number {
                                        @match one.lag {
                                            Some(lag) => (count(lag)),
                                            None => span.unknown { "not known" },
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
                p.small { (counted(found.total as u64, "object")) " in all." }
            }
        }
        (pager(paging.page, found.total.div_ceil(OBJECTS_OF_PAGE), "Earlier", "Later"))
    }
}
