//! Who calls, and what the headers say: name, idempotency key, preconditions, what is acceptable.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use commands::{Commands, Request};
use domain::{Actor, CommandId};
use journal::Position;
use uuid::Uuid;

use crate::answer::tag;
use crate::api::Options;
use crate::{Api, Problem};

/// The header in which a request says in whose name it comes, as long as there is no access control.
const PERSON: HeaderName = HeaderName::from_static("x-hishamos-person");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;
/// What the API can answer with.
const OFFERED: [&str; 3] = ["application/json", "text/event-stream", "application/yaml"];

/// What a request says about itself, whatever it asks for.
#[derive(Clone)]
pub struct Call {
    /// The API that is called.
    pub api: Api,
    /// Who asks.
    pub actor: Actor,
    /// The same for all that follows from this request; it is in the log and in the journal.
    pub correlation: Uuid,
    key: Option<String>,
    only_at: Option<u64>,
    none_match: Option<String>,
    accept: Option<String>,
    method: String,
    path: String,
    query: String,
}

impl Call {
    /// What the command is asked with. With an idempotency key, the command's id follows from the caller and the key,
    /// and its correlation id from all of the request, so that the journal itself knows a repetition from another
    /// request under the same key, on every node and for ever.
    ///
    /// # Errors
    /// `IDEMPOTENCY_KEY_REUSED` when the key came with another request before.
    pub async fn begin(&self, body: &[u8]) -> Result<Request, Problem> {
        let mut request =
            Request { actor: self.actor.clone(), command: None, correlation: Some(self.correlation), causation: None };
        let Some(key) = &self.key else { return Ok(request) };
        let actor = self.actor.to_string();
        let named: [&[u8]; 2] = [actor.as_bytes(), key.as_bytes()];
        request.command =
            Some(CommandId::from_uuid(id("hishamos 2026 command id of an idempotency key", named.into_iter())));
        // How long somebody waits is not part of what they ask for.
        let query: Vec<&str> = self.query.split('&').filter(|pair| !pair.starts_with("wait=")).collect();
        let query = query.join("&");
        let asked: [&[u8]; 4] = [self.method.as_bytes(), self.path.as_bytes(), query.as_bytes(), body];
        let whole = named.into_iter().chain(asked);
        let correlation = id("hishamos 2026 correlation id of a request with an idempotency key", whole);
        tracing::debug!(%correlation, "the request has an idempotency key, and this is what the journal knows it by");
        request.correlation = Some(correlation);
        self.same(&request).await?;
        Ok(request)
    }

    /// Whether what was recorded under the request's command id was recorded for the same request.
    ///
    /// # Errors
    /// `IDEMPOTENCY_KEY_REUSED` when it was not.
    pub async fn same(&self, request: &Request) -> Result<(), Problem> {
        let (Some(command), true) = (request.command, self.key.is_some()) else { return Ok(()) };
        let journal = self.api.journal();
        let failed = |error| Problem::read(self.correlation, &error);
        let Some(first) = journal.find_command(command).await.map_err(failed)? else { return Ok(()) };
        let Some((stream, revision)) = first.heads.last() else { return Ok(()) };
        let recorded = journal.read_stream(*stream, *revision, 1).await.map_err(failed)?;
        let other = |metadata: &journal::Metadata| {
            metadata.command == command && Some(metadata.correlation) != request.correlation
        };
        if recorded.first().is_some_and(|recorded| other(&recorded.metadata)) {
            let detail = "this idempotency key came with another request before; take a new one for a new request";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED", detail));
        }
        Ok(())
    }

    /// The write side, as the request's `If-Match` wants it.
    #[must_use]
    pub fn commands(&self) -> Commands {
        let commands = self.api.commands();
        self.only_at.map_or_else(|| commands.clone(), |revision| commands.only_at(revision))
    }

    /// A command that was not carried out.
    #[must_use]
    pub fn refused(&self, error: commands::Error) -> Problem {
        let problem = Problem::command(self.correlation, error);
        if self.only_at.is_some() && problem.is_conflict() { precondition() } else { problem }
    }

    /// Waits for what the caller wants to see; answers with what all read models reflect at least.
    ///
    /// # Errors
    /// `READ_MODEL_STALE` when it takes too long, `ARGUMENT_INVALID` when nothing is recorded there.
    pub async fn fresh(&self, wanted: Option<u64>) -> Result<Position, Problem> {
        let queries = self.api.queries();
        let failed = |error: projections::Error| Problem::query(self.correlation, &error);
        if let Some(wanted) = wanted {
            // Positions are given when something is recorded, so one beyond the last is none that anybody was given.
            if queries.position().await.map_err(failed)?.as_u64() < wanted {
                let head = self.api.journal().head().await.map_err(|error| Problem::read(self.correlation, &error))?;
                if head.as_u64() < wanted {
                    let detail = format!("nothing is recorded at position {wanted}; the last position is {head}");
                    return Err(Problem::invalid(detail));
                }
            }
            let patience = self.api.options().freshness;
            queries.wait_for(Position::from_u64(wanted), patience).await.map_err(failed)?;
        }
        queries.position().await.map_err(failed)
    }

    /// The same for a read model that answers for itself: it is waited for until it reflects what the others do.
    ///
    /// # Errors
    /// As of [`Self::fresh`].
    pub async fn fresh_of(&self, model: &str, wanted: Option<u64>) -> Result<Position, Problem> {
        let position = self.fresh(wanted).await?;
        let waited = self.api.queries().wait_for_one(model, position, self.api.options().freshness).await;
        waited.map_err(|error| Problem::query(self.correlation, &error))?;
        Ok(position)
    }

    /// Whether the client has this revision already.
    #[must_use]
    pub fn has(&self, revision: u64) -> bool {
        let tag = tag(revision);
        let known = |given: &str| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag;
        self.none_match.as_ref().is_some_and(|given| given.split(',').any(|given| known(given.trim())))
    }

    /// Whether the client prefers a media type over JSON.
    #[must_use]
    pub fn prefers(&self, media_type: &str) -> bool {
        let weight = |wanted| self.accept.as_deref().map_or(0, |accept| weight(accept, wanted));
        weight(media_type) > weight("application/json")
    }

    /// This request's path with its query, for another page.
    pub(crate) fn link(&self, after: Option<&str>) -> String {
        let kept = self.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
        let after = after.map(|after| format!("after={after}"));
        let query: Vec<&str> = kept.chain(after.as_deref()).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let Some(api) = request.app_data::<Data<Api>>().map(|api| Api::clone(api)) else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "the server is not complete"));
        };
        let headers = request.headers();
        let accept = joined(headers, &ACCEPT);
        if accept.as_deref().is_some_and(|accept| OFFERED.iter().all(|offered| weight(accept, offered) == 0)) {
            let detail = format!("there is nothing here but {}", OFFERED.join(", "));
            return Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", detail));
        }
        Ok(Self {
            actor: actor(request, api.options())?,
            correlation: api.correlation(request),
            key: headers.get(IDEMPOTENCY_KEY).map(|key| idempotency_key(key.as_bytes())).transpose()?,
            only_at: joined(headers, &IF_MATCH).map_or(Ok(None), |given| only_at(&given))?,
            none_match: joined(headers, &IF_NONE_MATCH),
            accept,
            method: request.method().to_string(),
            path: request.path().to_owned(),
            query: request.query_string().to_owned(),
            api,
        })
    }
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

/// For whom a request is carried out: until there is access control, whoever the request says, else the local operator.
pub(crate) fn actor(request: &HttpRequest, options: &Options) -> Result<Actor, Problem> {
    let Some(name) = request.headers().get(PERSON) else { return Ok(options.actor.clone()) };
    let name = name.to_str().ok().filter(|name| Actor::is_name(name));
    let rule = "x-hishamos-person must be 1 to 64 of letters, digits, `.`, `_`, `-` and `@`";
    name.map(Actor::person).ok_or_else(|| Problem::invalid(rule))
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The key, with or without the quotes of a structured field.
fn idempotency_key(given: &[u8]) -> Result<String, Problem> {
    let text = std::str::from_utf8(given).ok().map(str::trim);
    let bare = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    match bare {
        Some(key) if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Ok(key.to_owned())
        }
        _ => {
            let detail = format!("Idempotency-Key must have 1 to {MAX_KEY} printable ASCII characters");
            Err(Problem::new(StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID", detail))
        }
    }
}

/// The revision that `If-Match` names; nothing for `*`.
fn only_at(given: &str) -> Result<Option<u64>, Problem> {
    let given = given.trim();
    if given == "*" {
        return Ok(None);
    }
    let revision = given.strip_prefix('"').and_then(|given| given.strip_suffix('"')).and_then(|text| text.parse().ok());
    // What is no tag of ours cannot be the tag of anything here.
    revision.map(Some).ok_or_else(precondition)
}

/// The problem with what has changed since the client saw it.
pub(crate) fn precondition() -> Problem {
    let detail = "it has another ETag than If-Match names; read it again and decide anew";
    Problem::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED", detail)
}

/// How much a media type is wanted, in thousandths; of several ranges that match, the most specific one says.
fn weight(accept: &str, wanted: &str) -> u32 {
    let kind = wanted.split('/').next().unwrap_or_default();
    let mut best = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let specific = if media.eq_ignore_ascii_case(wanted) {
            3
        } else if media.strip_suffix("/*").is_some_and(|given| given.eq_ignore_ascii_case(kind)) {
            2
        } else if media == "*/*" {
            1
        } else {
            continue;
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1000), thousandths).unwrap_or(0);
        if specific > best.0 {
            best = (specific, quality);
        }
    }
    best.1
}

/// A quality of `Accept`, which is 0 to 1 with at most three digits behind the point.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: u32 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    Some(whole.parse::<u32>().ok()?.min(1) * 1000 + part).map(|weight| weight.min(1000))
}

pub(crate) fn id<'a>(context: &'static str, parts: impl Iterator<Item = &'a [u8]>) -> Uuid {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_says_what_is_wanted() {
        assert_eq!(weight("*/*", "application/json"), 1000);
        assert_eq!(weight("text/html, application/*;q=0.5", "application/json"), 500);
        assert_eq!(weight("application/*, application/json;q=0", "application/json"), 0);
        assert_eq!(weight("text/event-stream", "application/json"), 0);
    }

    #[test]
    fn keys_may_be_quoted() {
        assert_eq!(idempotency_key(b"\"abc\"").unwrap(), "abc");
        assert_eq!(idempotency_key(b"abc").unwrap(), "abc");
        assert!(idempotency_key(b"").is_err());
        assert!(idempotency_key("é".as_bytes()).is_err());
        assert!(idempotency_key(&[b'a'; 256]).is_err());
    }

    #[test]
    fn preconditions_name_a_revision() {
        assert_eq!(only_at("\"7\"").unwrap(), Some(7));
        assert_eq!(only_at("*").unwrap(), None);
        assert!(only_at("W/\"7\"").is_err());
        assert!(only_at("7").is_err());
    }
}
