use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::Secret;
use crate::prices::Prices;

/// How one platform is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// The platform's key, such as `openai` or `ollama`.
    pub key: String,
    /// Where the API begins, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The API key; local servers need none.
    pub api_key: Option<Secret>,
    /// Further API keys. Calls are spread over all of them by their weights, and a key that the platform makes wait
    /// or refuses rests while others can work.
    pub more_keys: Vec<ApiKey>,
    /// The model for requests that name none.
    pub model: Option<String>,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// The largest accepted answer, in bytes.
    pub max_reply_bytes: usize,
    /// A proxy for every call, as a URL. The proxies of the environment are not used.
    pub proxy: Option<String>,
    /// Certificates, as PEM, to trust besides the system's: for servers behind a company's own authority.
    pub extra_certificates: Option<Vec<u8>>,
    /// Whether answers are asked for in pieces. Some servers that speak a known protocol cannot do that, or do not tell the
    /// usage when they do.
    pub stream: bool,
    /// Whether a platform that has to be asked to is asked to keep instructions in its cache.
    pub prompt_cache: bool,
    /// What calls cost where the platform does not say so itself.
    pub prices: Option<Arc<Prices>>,
}

/// A key and its share of the calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key.
    pub secret: Secret,
    /// How many calls it takes for each one of a key of weight 1; 0 keeps it for when all others rest.
    pub weight: u32,
}

impl Options {
    /// A platform without key or default model that answers in pieces: connecting takes at most 10 s, an answer at most 16 MiB, and instructions are kept in
    /// the platform's cache.
    #[must_use]
    pub fn new(key: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            base_url: base_url.into(),
            api_key: None,
            more_keys: Vec::new(),
            model: None,
            connect_timeout: Duration::from_secs(10),
            max_reply_bytes: 16 * 1024 * 1024,
            proxy: None,
            extra_certificates: None,
            stream: true,
            prompt_cache: true,
            prices: None,
        }
    }

    /// Names whom the platform at this address counts calls for, with these keys; tells none of them.
    pub(crate) fn account(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 account at a platform");
        let mut put = |text: &str| {
            // A usize has at most 64 bits on every supported machine.
            hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes()).update(text.as_bytes());
        };
        put(self.base_url.trim_end_matches('/'));
        let mut keys: Vec<&str> = self.keys().map(|(secret, _)| secret.reveal()).collect();
        keys.sort_unstable();
        keys.into_iter().for_each(&mut put);
        hasher.finalize().to_hex().chars().take(32).collect()
    }

    /// Every key with its weight.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&Secret, u32)> {
        let first = self.api_key.iter().map(|secret| (secret, 1));
        first.chain(self.more_keys.iter().map(|key| (&key.secret, key.weight)))
    }
}

/// Why options make no platform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The base URL is none.
    #[error(
        "`{url}` is no base URL for a platform ({why}); it must look like https://api.openai.com/v1 or \
         http://localhost:11434/v1"
    )]
    BaseUrl {
        /// What was given, without a password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key has characters that no HTTP header can carry.
    #[error("the API key of platform `{0}` has characters that a key cannot have, such as a line break")]
    ApiKey(String),
    /// The HTTP client cannot be made: a wrong proxy or certificate, or no certificates on this system.
    #[error("the HTTP client of platform `{key}` cannot be made: {why}")]
    Client {
        /// The platform.
        key: String,
        /// The innermost reason.
        why: String,
    },
}

/// Checks a base URL and adds the version where it is missing.
pub(crate) fn base_url(text: &str, version: &str) -> Result<Url, Error> {
    let mut url =
        Url::parse(text.trim()).map_err(|error| Error::BaseUrl { url: "…".to_owned(), why: error.to_string() })?;
    let secret = !url.username().is_empty() || url.password().is_some();
    // Neither setter fails for a URL with a host, and others are refused below.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    let why = if !matches!(url.scheme(), "http" | "https") {
        "it is neither http nor https"
    } else if secret {
        "it holds a user name or password; use api_key"
    } else if url.query().is_some() || url.fragment().is_some() {
        "it has a query or fragment"
    } else {
        let path = url.path().trim_end_matches('/').to_owned();
        let missing = if path.ends_with(version) { "" } else { version };
        url.set_path(&format!("{path}{missing}"));
        return Ok(url);
    };
    Err(Error::BaseUrl { url: url.to_string(), why: why.to_owned() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::{ApiKey, Options, base_url};
    use crate::Secret;

    #[test]
    fn an_account_is_an_address_with_its_keys() {
        let with = |url: &str, keys: &[&str]| {
            let mut keys = keys.iter().map(|key| Secret::new(*key));
            let api_key = keys.next();
            let more_keys = keys.map(|secret| ApiKey { secret, weight: 1 }).collect();
            Options { api_key, more_keys, ..Options::new("p", url) }.account()
        };
        let account = with("https://a/v1", &["k1", "k2"]);
        assert_eq!(account.len(), 32);
        assert_eq!(account, with("https://a/v1/", &["k2", "k1"]));
        for other in
            [with("https://b/v1", &["k1", "k2"]), with("https://a/v1", &["k1"]), with("https://a/v1", &["k1k2"])]
        {
            assert_ne!(other, account);
        }
    }

    #[test]
    fn the_version_is_added_once() {
        let cases = [
            ("https://host", "/v1", "https://host/v1"),
            ("https://host/", "/v1", "https://host/v1"),
            ("https://host/v1/", "/v1", "https://host/v1"),
            ("https://host/proxy", "/v1beta", "https://host/proxy/v1beta"),
            ("https://host/api", "", "https://host/api"),
        ];
        for (given, version, expected) in cases {
            assert_eq!(base_url(given, version).unwrap().as_str(), expected);
        }
    }
}
