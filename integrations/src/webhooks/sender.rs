//! Making one attempt: the message, the signatures, the request, and what it came to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use commands::Commands;
use commands::webhooks::{Reach, WebhookSetup, closed};
use domain::delivery::{Subject, Trouble};
use domain::{Delivery, DeliveryId, Timestamp, Webhook, WebhookId};
use journal::Loaded;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::sync::Semaphore;

use super::service::Options;
use crate::{message, signature};

/// The longest pause that a receiver may ask for.
const MOST_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What came of an attempt.
pub(super) struct Done {
    pub(super) webhook: WebhookId,
    pub(super) delivery: DeliveryId,
    /// The delivery after it; an error when it could not be recorded.
    pub(super) recorded: Result<Loaded<Delivery>, commands::Error>,
}

/// Sends to webhooks.
pub(super) struct Sender {
    commands: Commands,
    setup: Arc<WebhookSetup>,
    client: reqwest::Client,
    schedule: Vec<Duration>,
    jitter_milli: u16,
    /// One permit for each attempt that is being made, whoever it goes to.
    room: Semaphore,
}

/// What a request came to.
struct Answer {
    result: Result<u16, Trouble>,
    retry_after: Option<Duration>,
}

impl Sender {
    pub(super) fn new(commands: Commands, setup: Arc<WebhookSetup>, options: &Options) -> Result<Self, reqwest::Error> {
        crate::install_crypto();
        let client = reqwest::Client::builder()
            .user_agent(concat!("HishamOS-Webhooks/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A proxy would connect to what was never checked.
            .no_proxy()
            .dns_resolver(Guard { reach: setup.reach.clone() })
            .timeout(options.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build()?;
        let (schedule, jitter_milli) = (options.schedule.clone(), options.jitter_milli);
        let room = Semaphore::new(options.at_once);
        Ok(Self { commands, setup, client, schedule, jitter_milli, room })
    }

    /// Makes attempt number `attempt` and records it.
    pub(super) async fn attempt(self: Arc<Self>, webhook: Arc<Webhook>, subject: Subject, attempt: u32) -> Done {
        let (id, delivery) = (subject.webhook, subject.id());
        let recorded = self.send_and_record(&webhook, subject, attempt).await;
        Done { webhook: id, delivery, recorded }
    }

    async fn send_and_record(
        &self,
        webhook: &Webhook,
        subject: Subject,
        attempt: u32,
    ) -> Result<Loaded<Delivery>, commands::Error> {
        let body = message::of(&self.commands, &subject).await?.to_string();
        let permit = self.room.acquire().await;
        let began = Instant::now();
        let answer = self.send(webhook, &subject, body).await;
        let took = began.elapsed();
        drop(permit);
        let outcome = if answer.result.is_ok() { "succeeded" } else { "failed" };
        metrics::counter!("hishamos_webhook_attempts_total", "outcome" => outcome).increment(1);
        metrics::histogram!("hishamos_webhook_attempt_seconds").record(took.as_secs_f64());
        let next_at = self.next_at(attempt, &answer);
        if let Err(trouble) = &answer.result {
            let (webhook, topic, what) = (subject.webhook, subject.topic.name(), trouble.what.as_str());
            tracing::info!(webhook.id = %webhook, topic, attempt, what, "a webhook was not told");
        }
        self.commands.settle_delivery(subject, attempt, answer.result, took, next_at).await
    }

    async fn send(&self, webhook: &Webhook, subject: &Subject, body: String) -> Answer {
        let failed = |what: String| Answer { result: Err(Trouble { status: None, what }), retry_after: None };
        let Some(settings) = webhook.settings() else { return failed("the webhook is not there".to_owned()) };
        // Names are looked at when they are resolved; addresses in the URL never are, so they are looked at here.
        let url = match self.setup.reach.check(&settings.url) {
            Ok(url) => url,
            Err(what) => return failed(what),
        };
        let headers = match self.headers(webhook, subject, body.as_bytes()) {
            Ok(headers) => headers,
            Err(what) => return failed(what),
        };
        match self.client.post(url).headers(headers).body(body).send().await {
            Ok(response) => {
                let status = response.status();
                let retry_after = response.headers().get(RETRY_AFTER).and_then(patience);
                let result = if status.is_success() {
                    Ok(status.as_u16())
                } else {
                    let what = if status.is_redirection() {
                        format!("answered {}; redirects are not followed", status.as_u16())
                    } else {
                        format!("answered {}", status.as_u16())
                    };
                    Err(Trouble { status: Some(status.as_u16()), what })
                };
                Answer { result, retry_after }
            }
            Err(error) if error.is_timeout() => failed("gave no answer in time".to_owned()),
            Err(error) => failed(format!("cannot be reached: {}", innermost(&error))),
        }
    }

    fn headers(&self, webhook: &Webhook, subject: &Subject, body: &[u8]) -> Result<HeaderMap, String> {
        let now = self.commands.surroundings().now();
        let (id, timestamp) = (subject.id().message(), now.as_micros().div_euclid(1_000_000).to_string());
        let mut signatures = Vec::new();
        let mut other_key = None;
        for signing in webhook.signing(now) {
            match self.setup.keys.secret(subject.webhook, signing) {
                Ok(secret) => signatures.extend(signature::sign(secret.bytes(), &id, &timestamp, body)),
                Err(other) => other_key = Some(other.to_string()),
            }
        }
        if signatures.is_empty() {
            return Err(other_key.unwrap_or_else(|| "the webhook has no secret".to_owned()));
        }
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("webhook-id"), value(&id)?);
        headers.insert(HeaderName::from_static("webhook-timestamp"), value(&timestamp)?);
        headers.insert(HeaderName::from_static("webhook-signature"), value(&signatures.join(" "))?);
        Ok(headers)
    }

    /// When the next attempt is due; `None` when there is none.
    fn next_at(&self, attempt: u32, answer: &Answer) -> Option<Timestamp> {
        let trouble = answer.result.as_ref().err()?;
        if trouble.status == Some(410) {
            return None;
        }
        let wait = *self.schedule.get(usize::try_from(attempt).ok()?)?;
        let surroundings = self.commands.surroundings();
        let jitter = u64::from(self.jitter_milli).saturating_mul(u64::from(surroundings.chance_milli()));
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let wait = wait.saturating_add(Duration::from_micros((micros / 1_000_000).saturating_mul(jitter)));
        let asked = answer.retry_after.unwrap_or_default().min(MOST_PATIENCE);
        Some(surroundings.now().plus(wait.max(asked)))
    }
}

/// How long a receiver asks to wait: seconds, or a date.
fn patience(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default()),
    }
}

/// The cause at the bottom, which says what happened and does not repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().chars().take(300).collect()
}

/// Resolves names, and gives back only addresses that may be connected to. What connects takes exactly these, so a name
/// cannot change its meaning in between.
struct Guard {
    reach: Reach,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let (open, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| reach.allows(address.ip()));
            match (open.is_empty(), rest.first()) {
                (false, _) => Ok(Box::new(open.into_iter()) as Addrs),
                (true, Some(address)) => Err(closed(address.ip()).into()),
                (true, None) => Err("the name has no address".into()),
            }
        })
    }
}
