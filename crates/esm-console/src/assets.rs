//! The script and the style, as they are compiled in.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use axum::routing::get;

const SCRIPT: &str = include_str!("../assets/console.js");
const STYLE: &str = include_str!("../assets/console.css");
const ICON: &str = include_str!("../assets/icon.svg");

pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/assets/console.js", asset("text/javascript", SCRIPT))
        .route("/assets/console.css", asset("text/css", STYLE))
        .route("/assets/icon.svg", asset("image/svg+xml", ICON))
}

fn asset<S: Clone + Send + Sync + 'static>(
    media_type: &'static str,
    text: &'static str,
) -> axum::routing::MethodRouter<S> {
    get(move || async move {
        let headers = [
            (CONTENT_TYPE, media_type),
            // another version of esm has another script
            (CACHE_CONTROL, "no-cache"),
        ];
        (headers, text).into_response()
    })
}
