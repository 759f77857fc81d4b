//! The configuration of webhooks, those that HishamOS tells and those that are posted for its triggers.

use std::path::PathBuf;

use integrations::incoming::Encoding;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Masked;

/// The webhooks that HishamOS tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    /// The file of the master key, from which all secrets follow; `webhooks.key` in the data directory when not given.
    /// All nodes need the same.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether they may have `http` URLs.
    pub(crate) insecure_http: bool,
    /// Networks that may be reached although they are not of the open internet.
    pub(crate) networks: Vec<IpNet>,
    /// How long an attempt may take, 1 to 60 seconds.
    pub(crate) timeout_seconds: u64,
    /// How many seconds each further attempt comes after the one before; the proposal of Standard Webhooks when not
    /// given.
    pub(crate) retry_seconds: Option<Vec<u64>>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { key_file: None, insecure_http: false, networks: vec![], timeout_seconds: 20, retry_seconds: None }
    }
}

/// How what is posted for a trigger is checked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncomingHook {
    /// How it is signed.
    pub(crate) scheme: HookScheme,
    /// The secret; one that follows from the master key when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Masked>,
    /// body: the header with the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<String>,
    /// body: what stands before the signature.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prefix: String,
    /// body: how the signature is written.
    #[serde(default)]
    pub(crate) encoding: HookEncoding,
    /// body: the header with the sender's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id_header: Option<String>,
}

/// How what is posted is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HookScheme {
    /// As Standard Webhooks says.
    Standard,
    /// As GitHub does.
    Github,
    /// HMAC-SHA256 over the body in a header.
    Body,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HookEncoding {
    /// Two hexadecimal digits for each byte.
    #[default]
    Hex,
    /// Base64.
    Base64,
}

impl From<HookEncoding> for Encoding {
    fn from(encoding: HookEncoding) -> Self {
        match encoding {
            HookEncoding::Hex => Self::Hex,
            HookEncoding::Base64 => Self::Base64,
        }
    }
}

impl IncomingHook {
    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let details = self.header.is_some() || self.id_header.is_some() || !self.prefix.is_empty();
        match self.scheme {
            HookScheme::Body if self.header.as_ref().is_none_or(String::is_empty) => {
                Some("the scheme `body` needs `header`, the name of the header with the signature")
            }
            HookScheme::Standard | HookScheme::Github if details || self.encoding != HookEncoding::Hex => {
                Some("`header`, `prefix`, `encoding` and `id_header` are only for the scheme `body`")
            }
            _ => None,
        }
    }
}
