//! Keeps pages of other origins out.
//!
//! A browser on this machine can reach a loopback server on behalf of any page. Two checks stop that: `Host` must be
//! one of this server's own names, so that a foreign name that resolves to loopback (DNS rebinding) leads nowhere; and
//! whatever a browser sends with an `Origin` must come from this server's own pages (cross-site request forgery,
//! cross-site WebSocket hijacking). No CORS header is ever sent.

use std::net::SocketAddr;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};

use super::State;
use super::reply::refuse;

/// The values of `Host` that mean a server on this address.
pub(super) fn hosts(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    // An IPv6 address prints in brackets here, as it stands in `Host`.
    let mut hosts =
        vec![format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}"), address.to_string()];
    if port == 80 {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    hosts
}

/// The middleware.
pub(super) async fn check<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let refusal = request.app_data::<Data<State>>().and_then(|state| refusal(&request, &state.hosts));
    match refusal {
        None => Ok(next.call(request).await?.map_into_left_body()),
        Some((status, code, message)) => {
            tracing::warn!(code, path = request.path(), "a request was kept out");
            let response = if request.path().starts_with(rest::PREFIX) {
                rest::Problem::new(status, code, message).error_response()
            } else {
                refuse(status, code, &message)
            };
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

fn refusal(request: &ServiceRequest, hosts: &[String]) -> Option<(StatusCode, &'static str, String)> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let known = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    let names = || hosts.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    // HTTP/1.1 allows exactly one `Host`; a second one could be read differently by others.
    let mut named = request.headers().get_all(HOST);
    match (named.next().map(|host| host.to_str().unwrap_or_default()), named.next()) {
        (Some(host), None) if known(host) => {}
        _ => {
            let message = format!("the Host header must name this server: {}", names());
            return Some((StatusCode::MISDIRECTED_REQUEST, "HOST_REFUSED", message));
        }
    }
    if let Some(origin) = header(ORIGIN)
        && !origin.strip_prefix("http://").is_some_and(known)
    {
        let message = "pages of other origins may not call this server".to_owned();
        return Some((StatusCode::FORBIDDEN, "ORIGIN_REFUSED", message));
    }
    // Browsers tell where a request comes from even when they send no origin. Following a link to a page of ours is
    // fine; running a query that way is not.
    if let Some(site) = header(HeaderName::from_static("sec-fetch-site"))
        && !matches!(site, "same-origin" | "none")
    {
        let navigates = header(HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
        if !navigates || request.method() != Method::GET || !request.query_string().is_empty() {
            let message = "pages of other sites may not call this server".to_owned();
            return Some((StatusCode::FORBIDDEN, "ORIGIN_REFUSED", message));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const PORT: u16 = 7410;

    fn code(host: Option<&str>, extra: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = TestRequest::post().uri("/graphql");
        if let Some(host) = host {
            request = request.insert_header(("host", host));
        }
        for (name, value) in extra {
            request = request.append_header((*name, *value));
        }
        let address = SocketAddr::from(([127, 0, 0, 1], PORT));
        refusal(&request.to_srv_request(), &hosts(address)).map(|(_, code, _)| code)
    }

    #[test]
    fn own_names_are_let_in() {
        for host in ["localhost:7410", "127.0.0.1:7410", "[::1]:7410", "LocalHost:7410"] {
            assert_eq!(code(Some(host), &[]), None, "{host}");
        }
    }

    #[test]
    fn foreign_names_are_kept_out() {
        for host in ["evil.example:7410", "localhost", "localhost:7411", "localhost.evil.example:7410", "127.0.0.1", ""]
        {
            assert_eq!(code(Some(host), &[]), Some("HOST_REFUSED"), "{host}");
        }
        assert_eq!(code(None, &[]), Some("HOST_REFUSED"));
        assert_eq!(code(Some("localhost:7410"), &[("host", "evil.example")]), Some("HOST_REFUSED"));
    }

    #[test]
    fn only_our_own_pages_may_call() {
        assert_eq!(code(Some("localhost:7410"), &[("origin", "http://localhost:7410")]), None);
        for origin in ["null", "https://evil.example", "http://localhost:3000", "https://localhost:7410", ""] {
            assert_eq!(code(Some("localhost:7410"), &[("origin", origin)]), Some("ORIGIN_REFUSED"), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(code(Some("localhost:7410"), &[("sec-fetch-site", site)]), Some("ORIGIN_REFUSED"), "{site}");
            let navigation = [("sec-fetch-site", site), ("sec-fetch-mode", "navigate")];
            assert_eq!(code(Some("localhost:7410"), &navigation), Some("ORIGIN_REFUSED"), "a form from {site}");
        }
        assert_eq!(code(Some("localhost:7410"), &[("sec-fetch-site", "same-origin")]), None);
    }

    #[test]
    fn links_to_our_pages_may_be_followed_but_run_nothing() {
        let follow = |path: &str| {
            let request = TestRequest::get()
                .uri(path)
                .insert_header(("host", "localhost:7410"))
                .insert_header(("sec-fetch-site", "cross-site"))
                .insert_header(("sec-fetch-mode", "navigate"));
            let address = SocketAddr::from(([127, 0, 0, 1], PORT));
            refusal(&request.to_srv_request(), &hosts(address)).map(|(_, code, _)| code)
        };
        assert_eq!(follow("/graphql"), None);
        assert_eq!(follow("/graphql?query={journalHead}"), Some("ORIGIN_REFUSED"));
    }
}
