use std::sync::Once;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::{Error, Options, Protocol};
use crate::wire::{error, retry_after, too_large};
use crate::{Failure, FailureKind, Secret};

/// Error bodies are read no further than this.
const ERROR_BODY_LIMIT: usize = 64 * 1024;

/// The client of one platform.
pub(crate) fn client(options: &Options, tls: bool) -> Result<reqwest::Client, Error> {
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

fn innermost(error: &reqwest::Error) -> String {
    error::excerpt(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

/// Why a server could not be asked; the message does not say whose failure it is.
pub(crate) fn unreachable(error: &reqwest::Error, host: &str, connect_timeout: Duration) -> Failure {
    let cause = innermost(error);
    let what = if error.is_dns() {
        format!("the name {host} cannot be resolved: {cause}")
    } else if is_tls(error) {
        format!("TLS with {host} failed: {cause}")
    } else if error.is_connect() && error.is_timeout() {
        format!("{host} accepted no connection within {connect_timeout:?}")
    } else if error.is_connect() {
        format!("cannot connect to {host}: {cause}")
    } else {
        format!("the connection to {host} broke before an answer: {cause}")
    };
    Failure::new(FailureKind::Unreachable, what)
}

/// What an answer means whose status is no success, and its body as far as it came.
pub(crate) async fn refused(mut response: Response) -> (Failure, BytesMut) {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let pause = retry_after::parse(header(RETRY_AFTER.as_str()), header("retry-after-ms"), SystemTime::now());
    let location = header("location").map(|location| location.chars().take(200).collect::<String>());
    let mut body = BytesMut::new();
    // The status already tells of the failure, so a body that breaks off is shown as far as it came.
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() >= ERROR_BODY_LIMIT {
            break;
        }
    }
    let mut failure = error::of_status(status, pause, &body);
    if let Some(location) = location.filter(|_| (300..400).contains(&status)) {
        failure.message = format!("status {status}: it redirects to {location}; set base_url to where it lives");
    }
    (failure, body)
}

/// What comes with a success, of at most `limit` bytes; the message of a failure does not say whose it is.
pub(crate) async fn content(mut response: Response, limit: usize) -> Result<BytesMut, Failure> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) if body.len() + bytes.len() > limit => return Err(too_large(limit)),
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return Ok(body),
            Err(error) => return Err(broken(&error, body.len())),
        }
    }
}

/// An answer that broke off after so many bytes; the message does not say whose it is.
pub(super) fn broken(error: &reqwest::Error, received: usize) -> Failure {
    Failure::malformed(format!("the answer broke off after {received} bytes: {}", innermost(error)))
}

fn is_tls(error: &reqwest::Error) -> bool {
    chain(error).any(|error| error.is::<rustls::Error>())
}
