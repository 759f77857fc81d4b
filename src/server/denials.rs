//! Notes what was refused, whoever refused it: the write side, the schema, the REST API or the server itself.
//!
//! Invariant: a refusal is noted once. What answers with a status of HTTP says by which code in its response
//! ([`rest::RefusedAs`]), and is noted on the way out; what GraphQL refuses within an answer is noted here by the answer's
//! errors. Reading what is not there is no refusal, and neither is a lost race.

use std::convert::Infallible;

use actix_web::http::header::{HeaderMap, ORIGIN};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Name, PathSegment, Request, Response, ServerError, Value};
use commands::denials::Denial;
use domain::Actor;
use schema::Caller;
use uuid::Uuid;

use super::{PERSON, State, graphql};

/// Somebody else was faster; that is nobody's refusal.
const LOST_RACE: &str = "CONFLICT";
/// What a page of another origin or another name of this server met; who sent it is not believed.
const KEPT_OUT: [&str; 2] = ["HOST_REFUSED", "ORIGIN_REFUSED"];
/// A mutation that came as a query.
const MISPLACED: &str = "QUERY_ONLY";
/// What a question may meet that is not a mistake in it but a boundary.
const BOUNDS: [&str; 2] = ["QUERY_TOO_DEEP", "QUERY_TOO_COMPLEX"];
/// The arguments that name what a command is about, the first that is there.
const NAMES: [&str; 8] = ["runId", "id", "webhookId", "deliveryId", "key", "workflow", "template", "agent"];

/// What a request over HTTP asked for, as far as that is known before it is answered.
pub(super) struct Asked {
    method: Method,
    person: Option<String>,
    origin: Option<String>,
    hook: bool,
}

impl Asked {
    pub(super) fn of(method: &Method, path: &str, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().to_owned());
        let hook = path.starts_with("/hooks/");
        Self { method: method.clone(), person: text(PERSON), origin: text(ORIGIN.as_str()), hook }
    }

    /// Notes that the answer is a refusal, if it is.
    pub(super) fn answered(
        self,
        state: &State,
        correlation: Uuid,
        pattern: &str,
        response: &HttpResponse<impl Sized>,
        request: Option<&HttpRequest>,
    ) {
        let (Some(denials), status) = (&state.denials, response.status()) else { return };
        if !status.is_client_error() {
            return;
        }
        let code = match response.extensions().get::<rest::RefusedAs>() {
            Some(rest::RefusedAs(code)) => code.clone(),
            // GraphQL notes its own.
            None if pattern == "/graphql" => return,
            None => format!("HTTP_{}", status.as_u16()),
        };
        let reads = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if code == LOST_RACE || (reads && code != MISPLACED && !is_denial(status)) {
            return;
        }
        let believed = !self.hook && !KEPT_OUT.contains(&code.as_str());
        let by = match self.person {
            _ if !believed => Denial::unknown(),
            None => state.options.actor.clone(),
            Some(name) if Actor::is_name(&name) => Actor::person(name),
            Some(_) => Denial::unknown(),
        };
        let named = request.and_then(|request| request.match_info().iter().next().map(|(_, value)| value.to_owned()));
        denials.note(Denial {
            by,
            correlation: Some(correlation),
            action: format!("{} {pattern}", self.method),
            on: named,
            from: self.origin.filter(|_| !believed),
            code,
        });
    }
}

/// Whether a question was kept from being asked, as opposed to one that has no answer.
fn is_denial(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::MISDIRECTED_REQUEST
            | StatusCode::TOO_MANY_REQUESTS
    )
}

/// A command of a mutation.
struct Root {
    /// Under which name its answer stands.
    key: String,
    name: String,
    on: Option<String>,
}

/// What an operation of GraphQL asks for.
pub(super) struct Operation {
    kind: Option<OperationType>,
    roots: Vec<Root>,
    by: Actor,
    correlation: Uuid,
}

impl Operation {
    /// Looks closer only at mutations, so that questions cost nothing.
    pub(super) fn of(caller: &Caller, request: &mut Request) -> Self {
        let kind = graphql::kind(request);
        let roots = if kind == Some(OperationType::Mutation) { roots(request) } else { Vec::new() };
        Self { kind, roots, by: caller.actor.clone(), correlation: caller.correlation }
    }

    /// Notes what an answer refuses.
    pub(super) fn answered(&self, state: &State, response: &Response) {
        let Some(denials) = state.denials.as_ref().filter(|_| response.is_err()) else { return };
        let mut whole = false;
        for error in &response.errors {
            let (Some(code), Some("REFUSAL")) = (word(error, "code"), word(error, "kind")) else { continue };
            let root = match error.path.first() {
                Some(PathSegment::Field(key)) => self.roots.iter().find(|root| root.key == *key),
                _ => None,
            };
            let (action, on) = match (self.kind, root) {
                (Some(OperationType::Mutation), Some(root)) => (format!("mutation {}", root.name), root.on.clone()),
                // An operation that was not begun is one refusal, however much is wrong with it.
                (Some(OperationType::Mutation), None) if !std::mem::replace(&mut whole, true) => {
                    let names: Vec<&str> = self.roots.iter().map(|root| root.name.as_str()).collect();
                    (format!("mutation {}", names.join(", ")), None)
                }
                (Some(kind), _) if BOUNDS.contains(&code) => (graphql::word(Some(kind)).to_owned(), None),
                (None, _) if !std::mem::replace(&mut whole, true) => ("graphql".to_owned(), None),
                _ => continue,
            };
            denials.note(Denial {
                by: self.by.clone(),
                correlation: Some(self.correlation),
                action,
                on,
                code: code.to_owned(),
                from: None,
            });
        }
    }
}

/// Notes that a message of a connection was refused.
pub(super) fn message(state: &State, caller: &Caller, code: &str) {
    let Some(denials) = &state.denials else { return };
    denials.note(Denial {
        by: caller.actor.clone(),
        correlation: Some(caller.correlation),
        action: "GET /graphql/ws".to_owned(),
        on: None,
        code: code.to_owned(),
        from: None,
    });
}

fn word<'a>(error: &'a ServerError, name: &str) -> Option<&'a str> {
    match error.extensions.as_ref()?.get(name)? {
        Value::String(word) => Some(word),
        _ => None,
    }
}

/// The commands of a mutation, and what each is about.
fn roots(request: &mut Request) -> Vec<Root> {
    let (variables, name) = (request.variables.clone(), request.operation_name.clone());
    let Ok(document) = request.parsed_query() else { return Vec::new() };
    let Some(operation) = schema::operation(document, name.as_deref()) else { return Vec::new() };
    let fields = operation.selection_set.node.items.iter().filter_map(|item| match &item.node {
        Selection::Field(field) => Some(&field.node),
        _ => None,
    });
    fields
        .map(|field| {
            // What a variable does not say is none of the names.
            let constant = |name| Ok::<_, Infallible>(variables.get(&name).cloned().unwrap_or_default());
            let arguments: Vec<(&str, Value)> = field
                .arguments
                .iter()
                .map(|(name, value)| {
                    let Ok(value) = value.node.clone().into_const_with(constant);
                    (name.node.as_str(), value)
                })
                .collect();
            let own =
                |wanted: &&str| arguments.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| text(value));
            let on = NAMES.iter().find_map(own).or_else(|| arguments.iter().find_map(|(_, value)| named(value)));
            Root { key: field.response_key().node.to_string(), name: field.name.node.to_string(), on }
        })
        .collect()
}

/// What an input is about.
fn named(input: &Value) -> Option<String> {
    let Value::Object(fields) = input else { return None };
    NAMES.iter().find_map(|name| text(fields.get(&Name::new(name))?))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
