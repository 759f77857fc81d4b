//! JSON Schemas in catalogue files: whether they are schemas, and whether their own defaults and examples fit them.

use domain::template::TemplateBody;
use serde_json::Value;

use super::Fault;

/// Everything that is wrong with an object schema.
pub(super) fn check(schema: &Value) -> Vec<Fault> {
    if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
        return vec![Fault::Schema(at(&error))];
    }
    let whole = match jsonschema::draft202012::new(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![Fault::Schema(at(&error))],
    };
    let mut faults = Vec::new();
    for (number, example) in examples(schema) {
        if let Err(error) = whole.validate(example) {
            faults.push(Fault::Sample { what: format!("example {number}"), why: at(&error) });
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        // A property that refers to definitions elsewhere cannot be looked at alone; it is left to the examples.
        let Ok(validator) = jsonschema::draft202012::new(property) else { continue };
        let default = property.get("default").map(|value| (format!("the default of `{name}`"), value));
        let samples = examples(property).map(|(number, value)| (format!("example {number} of `{name}`"), value));
        for (what, value) in default.into_iter().chain(samples) {
            if let Err(error) = validator.validate(value) {
                faults.push(Fault::Sample { what, why: at(&error) });
            }
        }
    }
    faults
}

/// The examples with which the instructions of a template cannot be rendered.
pub(super) fn render_examples(body: &TemplateBody) -> Vec<Fault> {
    let render = |(number, example)| {
        let error = body.render(&complete(&body.parameters, example)).err()?;
        Some(Fault::Unrenderable { number, why: error.message })
    };
    examples(&body.parameters).filter_map(render).collect()
}

/// A value with the defaults of its top-level properties filled in, as whoever uses it does first.
pub(super) fn complete(schema: &Value, value: &Value) -> Value {
    let mut value = value.clone();
    let properties = schema.get("properties").and_then(Value::as_object);
    if let (Some(object), Some(properties)) = (value.as_object_mut(), properties) {
        for (name, property) in properties {
            if let Some(default) = property.get("default") {
                object.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
    }
    value
}

fn examples(schema: &Value) -> impl Iterator<Item = (usize, &Value)> {
    let examples = schema.get("examples").and_then(Value::as_array);
    examples.into_iter().flatten().enumerate().map(|(index, example)| (index + 1, example))
}

fn at(error: &jsonschema::ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    if path.is_empty() { error.to_string() } else { format!("{error} (at {path})") }
}
