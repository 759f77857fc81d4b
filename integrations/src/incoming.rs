//! What others post for a trigger: believed only when its signature fits.
//!
//! Two schemes: Standard Webhooks, whose signature covers id and time, so that an old message is refused and a repeated
//! one is known; and a signature over the body alone in a header of any name, as GitHub and many others have it. There
//! neither id nor time is signed: a repetition is known by the id that the sender gives, and only TLS protects that.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;

use crate::signature::{fits, hmac};

/// How far the time of a message may be from ours, in both directions.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How what is posted for one trigger is checked.
#[derive(Clone)]
pub struct Hook {
    /// How it is signed.
    pub scheme: Scheme,
    /// With which secrets; one has to fit. Bytes, not text.
    pub secrets: Vec<Vec<u8>>,
}

/// How a message is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks 1.0.
    Standard,
    /// HMAC-SHA256 over the body, in a header.
    Body {
        /// The header with the signature.
        header: String,
        /// What stands before the signature.
        prefix: String,
        /// How its bytes are written.
        encoding: Encoding,
        /// The header with the sender's own id of the message; without one, the signature is its id.
        id_header: Option<String>,
    },
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Two hexadecimal digits each.
    Hex,
    /// Base64.
    Base64,
}

/// Why a message is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// A header is not there.
    #[error("the header `{0}` is missing")]
    Missing(String),
    /// It is too old, or of the future.
    #[error("the time of the message is more than 5 minutes from now")]
    Stale,
    /// No signature fits.
    #[error("no signature of the message fits")]
    Signature,
}

impl Unbelieved {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "HOOK_HEADER_MISSING",
            Self::Stale => "HOOK_TOO_OLD",
            Self::Signature => "HOOK_SIGNATURE_REFUSED",
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Scheme {
    /// As GitHub signs.
    #[must_use]
    pub fn github() -> Self {
        Self::Body {
            header: "x-hub-signature-256".to_owned(),
            prefix: "sha256=".to_owned(),
            encoding: Encoding::Hex,
            id_header: Some("x-github-delivery".to_owned()),
        }
    }
}

impl Hook {
    /// The bytes of a secret as people are given it: what follows `whsec_` is base64, everything else is itself.
    ///
    /// # Errors
    /// When what follows `whsec_` is no base64.
    pub fn secret(text: &str) -> Result<Vec<u8>, String> {
        match text.strip_prefix("whsec_") {
            None => Ok(text.as_bytes().to_vec()),
            Some(rest) => STANDARD.decode(rest).map_err(|error| format!("what follows `whsec_` is no base64: {error}")),
        }
    }

    /// Checks a message, and says by which id it is known.
    ///
    /// # Errors
    /// See [`Unbelieved`].
    pub fn check<'a>(
        &self,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, Unbelieved> {
        let wanted = |name: &str| header(name).ok_or_else(|| Unbelieved::Missing(name.to_owned()));
        match &self.scheme {
            Scheme::Standard => {
                let (id, timestamp) = (wanted("webhook-id")?, wanted("webhook-timestamp")?);
                let signature = wanted("webhook-signature")?;
                let at = timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000));
                let at = Timestamp::from_micros(at.ok_or(Unbelieved::Stale)?);
                if !fits(signature, &self.secrets, id, timestamp, body) {
                    return Err(Unbelieved::Signature);
                }
                if now.since(at) > TOLERANCE || at.since(now) > TOLERANCE {
                    return Err(Unbelieved::Stale);
                }
                Ok(id.to_owned())
            }
            Scheme::Body { header: name, prefix, encoding, id_header } => {
                let text = wanted(name)?;
                let given = text.strip_prefix(prefix.as_str()).and_then(|text| encoding.decode(text));
                let given = given.ok_or(Unbelieved::Signature)?;
                let one_fits = self.secrets.iter().any(|secret| {
                    hmac(secret, &[body]).is_some_and(|mac| hmac::Mac::verify_slice(mac, &given).is_ok())
                });
                match (one_fits, id_header) {
                    (false, _) => Err(Unbelieved::Signature),
                    (true, Some(name)) => wanted(name).map(str::to_owned),
                    (true, None) => Ok(text.to_owned()),
                }
            }
        }
    }
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex if text.is_ascii() && text.len().is_multiple_of(2) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let pair = |pair: &[u8]| match pair {
                    [high, low] => Some(digit(high)? * 16 + digit(low)?),
                    _ => None,
                };
                text.as_bytes().chunks(2).map(pair).collect()
            }
            Self::Hex => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::signature::sign;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn check(hook: &Hook, headers: &[(&str, &str)], body: &[u8]) -> Result<String, Unbelieved> {
        let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        hook.check(find, body, NOW)
    }

    #[test]
    fn standard_messages_are_believed_for_five_minutes() {
        let hook = Hook { scheme: Scheme::Standard, secrets: vec![vec![1; 32], vec![2; 32]] };
        let (id, body) = ("msg_1", br#"{"a":1}"#);
        let with = |at: &str, secret: u8| {
            let signature = sign(&[secret; 32], id, at, body).unwrap();
            let headers = [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", &*signature)];
            check(&hook, &headers, body)
        };
        assert_eq!(with("1800000000", 2), Ok("msg_1".to_owned()));
        assert_eq!(with("1799999700", 1), Ok("msg_1".to_owned()));
        assert_eq!(with("1799999699", 1), Err(Unbelieved::Stale));
        assert_eq!(with("1800000301", 1), Err(Unbelieved::Stale));
        assert_eq!(with("soon", 1), Err(Unbelieved::Stale));
        assert_eq!(with("1800000000", 3), Err(Unbelieved::Signature));
        assert_eq!(check(&hook, &[], body), Err(Unbelieved::Missing("webhook-id".to_owned())));
    }

    /// The example of GitHub's documentation.
    #[test]
    fn messages_as_github_signs_them_are_believed() {
        let secret = Hook::secret("It's a Secret to Everybody").unwrap();
        let hook = Hook { scheme: Scheme::github(), secrets: vec![secret] };
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = [("x-hub-signature-256", signature), ("x-github-delivery", "d-1")];
        assert_eq!(check(&hook, &headers, b"Hello, World!"), Ok("d-1".to_owned()));
        assert_eq!(check(&hook, &headers, b"Hello, World?"), Err(Unbelieved::Signature));
        assert_eq!(check(&hook, &headers[..1], b"Hello, World!"), Err(Unbelieved::Missing("x-github-delivery".into())));
        for broken in ["757107ea", "sha256=75", "sha256=7", "sha256=é", "sha256=zz"] {
            let headers = [("x-hub-signature-256", broken), ("x-github-delivery", "d-1")];
            assert_eq!(check(&hook, &headers, b"Hello, World!"), Err(Unbelieved::Signature), "{broken}");
        }
    }
}
