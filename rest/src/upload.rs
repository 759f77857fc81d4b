//! The input of a run, from whatever it comes as: an object in JSON, one text, or a form with files.

use actix_multipart::{Multipart, MultipartError};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};

use crate::Problem;
use crate::body::{Body, parse, wrong_type};

/// The types of bodies that an input may come in.
const ALLOWED: &str = "application/json, multipart/form-data, text/plain or text/markdown";
/// The most values that a form may bring.
const MAX_PARTS: usize = 100;

/// Reads an input. In a form each part is a value of the input, named by the part: JSON where the part says so, else
/// text. A single text goes where `name` says.
pub(crate) async fn input(body: Body, name: Option<&str>) -> Result<Value, Problem> {
    match body.media_type.as_str() {
        "application/json" => {
            let value: Value = parse(&body.bytes)?;
            if value.is_object() { Ok(value) } else { Err(invalid("the input must be a JSON object")) }
        }
        "multipart/form-data" => form(&body).await,
        "text/plain" | "text/markdown" => {
            let name =
                name.ok_or_else(|| Problem::invalid("`as` must name the value of the input that the text is"))?;
            Ok(Value::Object(Map::from_iter([(name.to_owned(), text(name, &body.bytes)?)])))
        }
        "" if body.bytes.is_empty() => Ok(Value::Object(Map::new())),
        _ => Err(wrong_type(ALLOWED)),
    }
}

async fn form(body: &Body) -> Result<Value, Problem> {
    let wrong = |error: MultipartError| invalid(&format!("the form cannot be read: {error}"));
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_str(&body.content_type).map_err(|_| wrong_type(ALLOWED))?;
    headers.insert(CONTENT_TYPE, content_type);
    let whole = stream::iter([Ok(body.bytes.clone())]);
    let mut parts = Multipart::new(&headers, whole);
    let mut input = Map::new();
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(wrong)?;
        let Some(name) = part.name().filter(|name| !name.is_empty()).map(str::to_owned) else {
            return Err(invalid("each part of the form must have a name"));
        };
        let json = part.content_type().is_some_and(|kind| kind.essence_str() == "application/json");
        let mut bytes = Vec::new();
        while let Some(chunk) = part.next().await {
            bytes.extend_from_slice(&chunk.map_err(wrong)?);
        }
        let value = if json { parse(&bytes)? } else { text(&name, &bytes)? };
        if input.len() >= MAX_PARTS {
            return Err(invalid(&format!("a form may have at most {MAX_PARTS} parts")));
        }
        if input.insert(name.clone(), value).is_some() {
            return Err(invalid(&format!("the form has two parts called `{name}`")));
        }
    }
    Ok(Value::Object(input))
}

/// A file that is text.
fn text(name: &str, bytes: &[u8]) -> Result<Value, Problem> {
    // A byte order mark is no part of the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Value::String(text.to_owned())),
        Ok(_) => Err(invalid(&format!("`{name}` is no text: it holds a zero byte"))),
        Err(error) => {
            let at = error.valid_up_to();
            Err(invalid(&format!("`{name}` is no text in UTF-8: byte {at} is wrong; convert it before you upload it")))
        }
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BODY_INVALID", detail)
}
