//! What has to be asked back before a template can be carried out.

use domain::Bilingual;
use domain::template::TemplateBody;
use serde::Serialize;
use serde_json::{Map, Value};

/// A parameter that is required, has no default and was not given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Its type in JSON Schema, such as `string`; `any` when the schema does not say.
    #[serde(rename = "type")]
    pub kind: String,
    /// What people call it.
    pub title: Bilingual,
    /// What belongs there.
    pub description: Bilingual,
    /// The values among which it must be, when there are only some.
    pub choices: Vec<Value>,
    /// Values that somebody might give.
    pub examples: Vec<Value>,
}

/// The parameters of a template that must be asked for, in the order in which the template describes them.
///
/// A null or a blank text counts as not given: nobody means it as an answer.
#[must_use]
pub fn missing(template: &TemplateBody, given: &Map<String, Value>) -> Vec<Missing> {
    let required: Vec<&str> = list(&template.parameters, "required").iter().filter_map(Value::as_str).collect();
    let properties = template.parameters.get("properties").and_then(Value::as_object);
    let described = properties.into_iter().flatten();
    let mut missing: Vec<Missing> = described
        .filter(|(name, schema)| required.contains(&name.as_str()) && schema.get("default").is_none())
        .filter(|(name, _)| !is_given(given, name))
        .map(|(name, schema)| describe(name, schema))
        .collect();
    // JSON Schema lets a parameter be required that is not described.
    let undescribed = required.iter().filter(|name| properties.is_none_or(|known| !known.contains_key(**name)));
    missing.extend(undescribed.filter(|name| !is_given(given, name)).map(|name| describe(name, &Value::Null)));
    missing
}

fn is_given(given: &Map<String, Value>, name: &str) -> bool {
    match given.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    }
}

fn describe(name: &str, schema: &Value) -> Missing {
    let text = |field: &str| schema.get(field).and_then(Value::as_str).map(ToOwned::to_owned);
    Missing {
        name: name.to_owned(),
        kind: kind(schema),
        title: Bilingual { en: text("title").unwrap_or_else(|| name.replace('_', " ")), ar: text("x-title-ar") },
        description: Bilingual { en: text("description").unwrap_or_default(), ar: text("x-description-ar") },
        choices: list(schema, "enum").to_vec(),
        examples: list(schema, "examples").to_vec(),
    }
}

/// The type that a schema names; several are joined by `|`.
fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
        _ => match list(schema, "enum").first() {
            Some(Value::String(_)) => "string".to_owned(),
            Some(Value::Number(_)) => "number".to_owned(),
            _ => "any".to_owned(),
        },
    }
}

fn list<'a>(schema: &'a Value, field: &str) -> &'a [Value] {
    schema.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> TemplateBody {
        let parameters = json!({
            "type": "object",
            "required": ["role", "location", "contract", "seats", "extra"],
            "properties": {
                "role": { "type": "string", "title": "Role", "x-title-ar": "المسمى الوظيفي", "examples": ["Nurse"] },
                "location": { "type": "string" },
                "contract": { "enum": ["full-time", "part-time"], "default": "full-time" },
                "seats": { "type": ["integer", "null"], "title": "Seats" },
                "notes": { "type": "string" },
            },
        });
        TemplateBody::new("ad".parse().expect("a key"), "Ad", parameters, "{{ role }}")
    }

    fn names(given: Value) -> Vec<String> {
        let given = given.as_object().expect("an object").clone();
        missing(&template(), &given).into_iter().map(|missing| missing.name).collect()
    }

    #[test]
    fn what_is_required_has_no_default_and_was_not_given_is_asked_for() {
        assert_eq!(names(json!({})), ["role", "location", "seats", "extra"]);
        assert_eq!(names(json!({ "role": "Nurse", "location": " ", "seats": 0, "extra": false })), ["location"]);
        assert_eq!(names(json!({ "role": "Nurse", "location": "Riyadh", "seats": null, "extra": 1 })), ["seats"]);
    }

    #[test]
    fn a_question_says_what_belongs_there_in_both_languages() {
        let missing = missing(&template(), &Map::new());
        let role = &missing[0];
        assert_eq!((role.kind.as_str(), role.title.en.as_str()), ("string", "Role"));
        assert_eq!(role.title.ar.as_deref(), Some("المسمى الوظيفي"));
        assert_eq!(role.examples, [json!("Nurse")]);
        assert_eq!(missing[1].title.en, "location");
        assert_eq!(missing[2].kind, "integer|null");
        assert_eq!(missing[3].kind, "any");
    }
}
