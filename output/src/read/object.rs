//! An answer that is JSON.

use domain::task::{ActionItem, Output, Rating, RatingPart, Score};
use serde_json::{Map, Value};

use super::lenient;
use super::lists::{self, Draft, action, field, none};
use super::names::{Part, part};

/// The parts of an answer that is an object with at least two of them; `None` when it is none.
pub(super) fn read(text: &str) -> Option<Output> {
    let fields = candidates(text).find_map(|candidate| match lenient::parse(candidate) {
        Some(Value::Object(fields)) if known(&fields) >= 2 => Some(fields),
        _ => None,
    })?;
    let mut output = Output::default();
    for (key, value) in &fields {
        match part(key) {
            Some(Part::Summary) => output.summary = text_of(value),
            Some(Part::Results) => match value {
                Value::Object(_) | Value::Array(_) => {
                    output.results = fenced(value);
                    output.data = output.data.or_else(|| Some(value.clone()));
                }
                value => output.results = text_of(value).unwrap_or_default(),
            },
            Some(Part::Data) => output.data = (!value.is_null()).then(|| value.clone()).or(output.data),
            Some(Part::Improvements) => output.improvements = list(value),
            Some(Part::Critique) => output.critique = text_of(value),
            Some(Part::Alternatives) => output.alternatives = list(value),
            Some(Part::Actions) => output.actions = actions(value),
            Some(Part::Rating) => output.rating = rating(value),
            None => {}
        }
    }
    Some(output)
}

fn known(fields: &Map<String, Value>) -> usize {
    fields.keys().filter(|key| part(key).is_some()).count()
}

/// Where the object may stand: it is the whole text, it is in a fence, or it begins somewhere in the text.
fn candidates(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.trim();
    let fenced = whole.split_once("```").map(|(_, rest)| {
        let inside = rest.split_once('\n').map_or(rest, |(_, inside)| inside);
        inside.rsplit_once("```").map_or(inside, |(inside, _)| inside)
    });
    let begun = whole.find('{').and_then(|at| whole.get(at..));
    let starts = |candidate: &&str| candidate.trim_start().starts_with('{');
    [Some(whole), fenced, begun].into_iter().flatten().filter(starts)
}

fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.trim().to_owned(),
        Value::Array(values) => {
            values.iter().filter_map(|value| Some(format!("- {}", text_of(value)?))).collect::<Vec<_>>().join("\n")
        }
        Value::Object(_) => line(value),
        scalar => scalar.to_string(),
    };
    (!none(&text)).then_some(text)
}

/// An object in one line.
fn line(value: &Value) -> String {
    let Value::Object(fields) = value else { return text_of(value).unwrap_or_default() };
    let mut texts = fields.iter().filter_map(|(name, value)| Some((name, text_of(value)?)));
    match (texts.next(), texts.next()) {
        (Some((_, only)), None) => only,
        (first, second) => {
            let all = first.into_iter().chain(second).chain(texts);
            all.map(|(name, text)| format!("{}: {text}", name.replace('_', " "))).collect::<Vec<_>>().join("; ")
        }
    }
}

fn fenced(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    format!("```json\n{text}\n```")
}

fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => None,
        Value::String(text) => lists::items(text).or(Some(vec![])),
        Value::Array(values) => Some(values.iter().map(line).filter(|text| !none(text)).collect()),
        other => Some(vec![line(other)]),
    }
}

fn actions(value: &Value) -> Option<Vec<ActionItem>> {
    match value {
        Value::Null => None,
        Value::String(text) => lists::actions(text).or(Some(vec![])),
        Value::Array(values) => Some(values.iter().filter_map(one).collect()),
        other => Some(one(other).into_iter().collect()),
    }
}

fn one(value: &Value) -> Option<ActionItem> {
    let Value::Object(fields) = value else { return action(value.as_str()?) };
    let mut draft = Draft::default();
    for (name, value) in fields {
        if let (Some(field), Some(text)) = (field(name), text_of(value)) {
            draft.put(field, &text);
        }
    }
    draft.finish()
}

fn rating(value: &Value) -> Option<Rating> {
    match value {
        Value::Number(_) => Some(Rating { score: number(value)?, parts: vec![] }),
        Value::String(text) => lists::rating(text),
        Value::Object(fields) => {
            let (mut whole, mut parts) = (None, Vec::new());
            for (name, value) in fields {
                let nested = value.as_object().into_iter().flatten();
                parts.extend(
                    nested.filter_map(|(name, value)| Some(RatingPart { name: name.clone(), score: number(value)? })),
                );
                match number(value) {
                    Some(score) if matches!(name.as_str(), "score" | "overall" | "total" | "value" | "rating") => {
                        whole = Some(score)
                    }
                    Some(score) => parts.push(RatingPart { name: name.clone(), score }),
                    None => {}
                }
                for part in value.as_array().into_iter().flatten().filter_map(Value::as_object) {
                    let name = part.get("name").or_else(|| part.get("part")).and_then(Value::as_str);
                    let score = part.get("score").or_else(|| part.get("value")).and_then(number);
                    parts.extend(name.zip(score).map(|(name, score)| RatingPart { name: name.to_owned(), score }));
                }
            }
            Some(Rating { score: whole?, parts })
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<Score> {
    match value {
        Value::Number(number) => lists::score(&number.to_string()),
        Value::String(text) => lists::score(text),
        _ => None,
    }
}
