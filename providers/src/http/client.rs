use std::sync::Once;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::{Error, Options, Protocol};
use crate::Secret;
use crate::wire::error;

/// The client of one platform.
pub(super) fn client(options: &Options, tls: bool) -> Result<reqwest::Client, Error> {
    static PROVIDER: Once = Once::new();
    // reqwest asks rustls for the process's crypto provider. When another part has installed one already, it serves
    // just as well, so the error means nothing.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let failed = |error: reqwest::Error| Error::Client { key: options.key.clone(), why: innermost(&error) };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("HishamOS/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy();
    if let Some(proxy) = &options.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(failed)?);
    }
    if let Some(pem) = &options.extra_certificates {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?);
    } else if !tls && options.proxy.is_none() {
        // Plain HTTP must also work on a system that has no certificates at all.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(failed)
}

/// The headers that show a key, or none.
pub(super) fn headers<P: Protocol>(protocol: &P, key: Option<&Secret>, platform: &str) -> Result<HeaderMap, Error> {
    let wrong = || Error::ApiKey(platform.to_owned());
    let mut headers = HeaderMap::new();
    for (name, value) in protocol.headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in key.map(|key| protocol.credentials(key.reveal())).unwrap_or_default() {
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

pub(super) fn content_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or("unknown").to_ascii_lowercase()
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        // An I/O error hides the error that it carries behind that error's own source.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        }
    })
}

pub(super) fn innermost(error: &reqwest::Error) -> String {
    error::excerpt(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

pub(super) fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.is::<rustls::Error>())
}
