//! Two small pages, shipped with the program: nothing is fetched from elsewhere, so they work without a network.

use actix_web::HttpResponse;

use super::reply::asset;

/// `/`.
pub(super) async fn index() -> HttpResponse {
    asset("text/html; charset=utf-8", include_str!("pages/index.html"))
}

/// `/graphql`, for browsers.
pub(super) fn page() -> HttpResponse {
    asset("text/html; charset=utf-8", include_str!("pages/explorer.html"))
}

/// `/explorer.js`.
pub(super) async fn script() -> HttpResponse {
    asset("text/javascript; charset=utf-8", include_str!("pages/explorer.js"))
}

/// `/style.css`.
pub(super) async fn style() -> HttpResponse {
    asset("text/css; charset=utf-8", include_str!("pages/style.css"))
}
