//! JSON Schemas in catalogue files: whether they are schemas, whether their own defaults and examples fit them, and
//! whether a template's parameters and instructions belong together. Faults come with the path of the field.

use domain::StepName;
use domain::template::TemplateBody;
use serde_json::{Map, Value};

use super::Fault;

/// Everything that is wrong with an object schema.
pub(super) fn check(schema: &Value) -> Vec<Fault> {
    check_at("", schema).into_iter().map(|(_, fault)| fault).collect()
}

/// As [`check`], with the places in a file where the schema is the field `field`.
fn check_at(field: &str, schema: &Value) -> Vec<(String, Fault)> {
    let place = |error: &jsonschema::ValidationError<'_>| join(field, error.instance_path().as_str());
    if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
        return vec![(place(&error), Fault::Schema(at(&error)))];
    }
    let whole = match jsonschema::draft202012::new(schema) {
        Ok(validator) => validator,
        Err(error) => return vec![(field.to_owned(), Fault::Schema(at(&error)))],
    };
    let mut faults = Vec::new();
    for (number, example) in examples(schema) {
        if let Err(error) = whole.validate(example) {
            let fault = Fault::Sample { what: format!("example {number}"), why: at(&error) };
            faults.push((format!("{field}.examples[{}]", number - 1), fault));
        }
    }
    for (name, property) in properties(schema) {
        if property.get("default").or_else(|| property.get("examples")).is_none() {
            continue;
        }
        // A property that refers to definitions elsewhere cannot be looked at alone; it is left to the examples.
        let Ok(validator) = jsonschema::draft202012::new(property) else { continue };
        let default = property
            .get("default")
            .map(|value| (format!("the default of `{name}`"), format!("{field}.properties.{name}.default"), value));
        let samples = examples(property).map(|(number, value)| {
            let place = format!("{field}.properties.{name}.examples[{}]", number - 1);
            (format!("example {number} of `{name}`"), place, value)
        });
        for (what, place, value) in default.into_iter().chain(samples) {
            if let Err(error) = validator.validate(value) {
                faults.push((place, Fault::Sample { what, why: at(&error) }));
            }
        }
    }
    faults
}

/// Everything that is wrong with the schemas, parameters and examples of a template whose instructions can be read.
pub(super) fn check_template(body: &TemplateBody) -> Vec<(String, Fault)> {
    let mut faults = check_at("parameters", &body.parameters);
    if let Some(schema) = &body.output_schema {
        faults.extend(check_at("output_schema", schema));
    }
    for (name, property) in properties(&body.parameters) {
        let field = format!("parameters.properties.{name}");
        if let Err(error) = name.parse::<StepName>() {
            // Steps of workflows give parameters under names of this form.
            faults.push((field.clone(), Fault::Rule(error.to_string().replace("step name", "parameter's name"))));
        }
        faults.extend(check_labels(&field, property));
    }
    for name in body.unused_parameters().unwrap_or_default() {
        let fault = Fault::Rule("the instructions do not use this parameter; use it or leave it out".to_owned());
        faults.push((format!("parameters.properties.{name}"), fault));
    }
    for (number, example) in examples(&body.parameters) {
        let field = format!("parameters.examples[{}]", number - 1);
        faults.extend(render(body, field, &format!("example {number}"), example));
    }
    faults.extend(check_example(body));
    faults
}

/// The Arabic labels of a parameter are texts, and there are as many for its values as it has values.
fn check_labels(field: &str, property: &Value) -> Vec<(String, Fault)> {
    let mut faults = Vec::new();
    for name in ["x-title-ar", "x-description-ar"] {
        if property.get(name).is_some_and(|label| label.as_str().is_none_or(|text| text.trim().is_empty())) {
            faults.push((format!("{field}.{name}"), Fault::Rule("a text belongs here".to_owned())));
        }
    }
    if let Some(labels) = property.get("x-enum-ar") {
        let count = |value: &Value| value.as_array().map(Vec::len);
        let values = property.get("enum").and_then(count);
        let texts = labels.as_array().is_some_and(|labels| labels.iter().all(Value::is_string));
        if !texts || values != count(labels) {
            let what = format!(
                "a list of {} texts belongs here, a label for each value of `enum`, in the same order",
                values.unwrap_or_default()
            );
            faults.push((format!("{field}.x-enum-ar"), Fault::Rule(what)));
        }
    }
    faults
}

fn check_example(body: &TemplateBody) -> Vec<(String, Fault)> {
    let Some(example) = &body.example else { return Vec::new() };
    let Ok(validator) = jsonschema::draft202012::new(&body.parameters) else { return Vec::new() };
    let mut faults = Vec::new();
    let given = [
        ("example.parameters", "the example", Some(&example.parameters)),
        ("example.parameters_ar", "the Arabic example", example.parameters_ar.as_ref()),
    ];
    for (field, what, parameters) in given {
        let Some(parameters) = parameters else { continue };
        if let Err(error) = validator.validate(parameters) {
            let fault = Fault::Sample { what: what.to_owned(), why: at(&error) };
            faults.push((join(field, error.instance_path().as_str()), fault));
            continue;
        }
        faults.extend(render(body, field.to_owned(), what, parameters));
        let reduced = reduced(&body.parameters, parameters);
        if validator.is_valid(&reduced) {
            faults.extend(render(body, field.to_owned(), &format!("{what}, reduced to what is required,"), &reduced));
        }
    }
    faults
}

fn render(body: &TemplateBody, field: String, what: &str, parameters: &Value) -> Option<(String, Fault)> {
    let error = body.render(&complete(&body.parameters, parameters)).err()?;
    Some((field, Fault::Unrenderable { what: what.to_owned(), why: error.message }))
}

/// Only those of the parameters without which there is no job.
pub(super) fn reduced(schema: &Value, parameters: &Value) -> Value {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let given = parameters.as_object().into_iter().flatten();
    let kept = given.filter(|(name, _)| required.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// A value with the defaults of its top-level properties filled in, as whoever uses it does first.
pub(super) fn complete(schema: &Value, value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        for (name, property) in properties(schema) {
            if let Some(default) = property.get("default") {
                object.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
    }
    value
}

/// The properties of an object schema.
pub(super) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn examples(schema: &Value) -> impl Iterator<Item = (usize, &Value)> {
    let examples = schema.get("examples").and_then(Value::as_array);
    examples.into_iter().flatten().enumerate().map(|(index, example)| (index + 1, example))
}

/// A JSON pointer below a field, as the path of a field.
fn join(field: &str, pointer: &str) -> String {
    pointer.split('/').skip(1).fold(field.to_owned(), |path, part| {
        if part.parse::<usize>().is_ok() { format!("{path}[{part}]") } else { format!("{path}.{part}") }
    })
}

fn at(error: &jsonschema::ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    if path.is_empty() { error.to_string() } else { format!("{error} (at {path})") }
}
