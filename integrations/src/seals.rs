//! Places outside of the installation that keep the statements of the journal's seals: a bucket of an S3 service, best with
//! object lock, and a web hook.
//!
//! Invariants: a statement is kept before the next one is; one that was kept already may come again and is the same. No
//! secret and no signed address is ever in an error.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use journal::seal::{Kept, Outside, OutsideError};
use journal::{Checkpoint, Checkpoints, Position};
use reqwest::{Client, Method, Response, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use sha2::{Digest, Sha256};
use url::Url;

use crate::signature;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a signed request may be used.
const VALID: Duration = Duration::from_secs(300);
/// How much of an answer is repeated in an error.
const SHOWN: usize = 300;

/// Where a bucket is, and how it is locked.
#[derive(Debug, Clone)]
pub struct BucketOptions {
    /// Where the service answers, such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The service's region.
    pub region: String,
    /// The bucket's name.
    pub bucket: String,
    /// What the names of objects begin with.
    pub prefix: String,
    /// How objects are locked; `None` leaves it to the bucket's default.
    pub lock: Option<Lock>,
}

/// How long nobody may change or delete an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Whether not even an administrator may.
    pub compliance: bool,
    /// For how many days.
    pub days: u32,
}

/// Who writes into a bucket.
#[derive(Clone)]
pub struct BucketKeys {
    /// The id of the access key.
    pub access_key: String,
    /// The secret.
    pub secret_key: String,
    /// The token of temporary keys.
    pub session_token: Option<String>,
}

impl Debug for BucketKeys {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketKeys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// Why a place cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PlaceError(String);

/// A bucket: one object for each statement, named by its place in the stream of seals, holding a line of JSON.
pub struct SealBucket {
    client: Client,
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    lock: Option<Lock>,
}

impl Debug for SealBucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealBucket").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl SealBucket {
    /// A bucket; nothing is asked of it yet.
    ///
    /// # Errors
    /// When the endpoint is no URL, or the HTTP client cannot be made.
    pub fn new(options: BucketOptions, keys: BucketKeys) -> Result<Self, PlaceError> {
        let BucketOptions { endpoint, region, bucket, prefix, lock } = options;
        let endpoint: Url =
            endpoint.parse().map_err(|error| PlaceError(format!("`{endpoint}` is no endpoint of S3: {error}")))?;
        // Other services than Amazon's know buckets by their paths.
        let style = if endpoint.host_str().is_some_and(|host| host.ends_with(".amazonaws.com")) {
            UrlStyle::VirtualHost
        } else {
            UrlStyle::Path
        };
        let bucket = Bucket::new(endpoint, style, bucket, region)
            .map_err(|error| PlaceError(format!("the bucket cannot be used: {error}")))?;
        let credentials = match keys.session_token {
            Some(token) => Credentials::new_with_token(keys.access_key, keys.secret_key, token),
            None => Credentials::new(keys.access_key, keys.secret_key),
        };
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self { client: client()?, bucket, credentials, prefix, lock })
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix)
    }

    /// The name of a statement's object; names sort as statements do.
    fn object(&self, revision: u64) -> String {
        format!("{}{revision:012}.json", self.prefix)
    }

    fn failed(&self, what: String) -> OutsideError {
        OutsideError::Place { place: self.place(), what }
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Response, OutsideError> {
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        // The address is signed, so it must not be shown.
        request.body(body).send().await.map_err(|error| self.failed(innermost(&error.without_url())))
    }

    async fn has(&self, revision: u64) -> Result<bool, OutsideError> {
        let object = self.object(revision);
        let url = self.bucket.head_object(Some(&self.credentials), &object).sign(VALID);
        let answer = self.send(Method::HEAD, url, &[], Vec::new()).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::FORBIDDEN => {
                let what = "it may not be looked at (403): the keys need s3:GetObject on its objects and s3:ListBucket";
                Err(self.failed(what.to_owned()))
            }
            status => Err(self.failed(format!("it answered {status} when it was asked for {object}"))),
        }
    }

    async fn put(&self, kept: &Kept) -> Result<(), OutsideError> {
        let mut body = serde_json::to_vec(kept).map_err(|error| self.failed(error.to_string()))?;
        body.push(b'\n');
        let mut headers = vec![
            ("x-amz-checksum-sha256", STANDARD.encode(Sha256::digest(&body))),
            // Some services want to be told what the header above says already.
            ("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()),
        ];
        if let Some(lock) = self.lock {
            let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * i64::from(lock.days));
            let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let mode = if lock.compliance { "compliance" } else { "governance" };
            headers.push(("x-amz-object-lock-mode", mode.to_ascii_uppercase()));
            headers.push(("x-amz-object-lock-retain-until-date", until));
        }
        let object = self.object(kept.revision);
        let mut action = self.bucket.put_object(Some(&self.credentials), &object);
        for (name, value) in &headers {
            action.headers_mut().insert(*name, value.clone());
        }
        let answer = self.send(Method::PUT, action.sign(VALID), &headers, body).await?;
        if answer.status().is_success() { Ok(()) } else { Err(self.failed(said(answer).await)) }
    }
}

#[async_trait]
impl Outside for SealBucket {
    /// Found by asking for single objects, because there are no gaps between them: a few questions, however many there are.
    async fn next(&self) -> Result<u64, OutsideError> {
        if !self.has(0).await? {
            return Ok(0);
        }
        let (mut there, mut missing) = (0_u64, 1_u64);
        while self.has(missing).await? {
            there = missing;
            missing = missing.saturating_mul(2);
        }
        while missing - there > 1 {
            let middle = there.midpoint(missing);
            if self.has(middle).await? { there = middle } else { missing = middle }
        }
        Ok(missing)
    }

    async fn keep(&self, statements: &[Kept]) -> Result<(), OutsideError> {
        for kept in statements {
            self.put(kept).await?;
        }
        Ok(())
    }
}

/// A web hook: each statement is posted as `seal.kept`, signed by Standard Webhooks 1.0, and kept once it was answered with
/// 2xx. How far it is, is remembered on this side; a statement that comes again has the id that it had before.
pub struct SealHook {
    client: Client,
    url: Url,
    secret: Vec<u8>,
    checkpoints: Arc<dyn Checkpoints>,
}

impl Debug for SealHook {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealHook").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl SealHook {
    /// A web hook with its secret, `whsec_` and base64.
    ///
    /// # Errors
    /// When the URL or the secret is none, or the HTTP client cannot be made.
    pub fn new(url: &str, secret: &str, checkpoints: Arc<dyn Checkpoints>) -> Result<Self, PlaceError> {
        let url: Url = url.parse().map_err(|error| PlaceError(format!("the place for seals is no URL: {error}")))?;
        let bytes = secret.strip_prefix("whsec_").and_then(|secret| STANDARD.decode(secret).ok());
        let secret = bytes.filter(|bytes| bytes.len() >= 24).ok_or_else(|| {
            PlaceError("the secret for seals must be `whsec_` and at least 24 bytes in base64".to_owned())
        })?;
        Ok(Self { client: client()?, url, secret, checkpoints })
    }

    /// Without a query, which may be secret.
    fn place(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }

    fn failed(&self, what: String) -> OutsideError {
        OutsideError::Place { place: self.place(), what }
    }

    /// Where it is remembered how far this URL is.
    fn checkpoint(&self) -> String {
        let hash = Sha256::digest(self.url.as_str());
        let short: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("seals.hook.{short}")
    }

    async fn post(&self, kept: &Kept) -> Result<(), OutsideError> {
        let id = format!("seal_{}", kept.revision);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let at = jiff::Timestamp::now().to_string();
        let body = serde_json::to_vec(&serde_json::json!({ "type": "seal.kept", "timestamp": at, "data": kept }))
            .map_err(|error| self.failed(error.to_string()))?;
        let timestamp = now.to_string();
        let signature = signature::sign(&self.secret, &id, &timestamp, &body)
            .ok_or_else(|| self.failed("it cannot be signed".to_owned()))?;
        let request = self.client.post(self.url.clone()).header("content-type", "application/json");
        let request = request.header("webhook-id", &id).header("webhook-timestamp", &timestamp);
        let request = request.header("webhook-signature", signature).body(body);
        let answer = request.send().await.map_err(|error| self.failed(innermost(&error.without_url())))?;
        if answer.status().is_success() { Ok(()) } else { Err(self.failed(said(answer).await)) }
    }
}

#[async_trait]
impl Outside for SealHook {
    async fn next(&self) -> Result<u64, OutsideError> {
        let loaded = self.checkpoints.load(&self.checkpoint()).await?;
        Ok(loaded.map_or(0, |checkpoint| checkpoint.position.as_u64()))
    }

    async fn keep(&self, statements: &[Kept]) -> Result<(), OutsideError> {
        for kept in statements {
            self.post(kept).await?;
            // No place in the journal but one in the stream of seals; whoever compares it finds it behind.
            let checkpoint = Checkpoint { position: Position::from_u64(kept.revision + 1), state: Vec::new() };
            let saved = self.checkpoints.save(&self.checkpoint(), checkpoint).await;
            saved.map_err(|error| self.failed(format!("how far it is cannot be remembered: {error}")))?;
        }
        Ok(())
    }
}

fn client() -> Result<Client, PlaceError> {
    crate::install_crypto();
    let client = Client::builder()
        .user_agent(concat!("HishamOS-Seals/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build();
    client.map_err(|error| PlaceError(format!("the HTTP client cannot be made: {error}")))
}

/// What went wrong, without what is around it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// What a place said when it did not do what it was asked for.
async fn said(answer: Response) -> String {
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect();
    format!("it answered {status}: {text}")
}
