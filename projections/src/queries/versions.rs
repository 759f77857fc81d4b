//! Two versions of a workflow beside each other.

use std::collections::BTreeMap;

use domain::Definition;
use serde_json::Value;

/// What is different between two versions of a workflow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DefinitionDiff {
    /// What is different beside the steps.
    pub fields: Vec<FieldDiff>,
    /// The steps that are different, in the order of the later version, then those that it no longer has.
    pub steps: Vec<StepDiff>,
}

/// A value that is different.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDiff {
    /// Where, such as `work.Task.retry.max_attempts`.
    pub path: String,
    /// What it was; `None` when there was none.
    pub from: Option<Value>,
    /// What it is; `None` when there is none any more.
    pub to: Option<Value>,
}

/// A step that is different.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDiff {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: StepChange,
    /// What is different in a step that both versions have.
    pub fields: Vec<FieldDiff>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepChange {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is not what it was.
    Changed,
}

impl DefinitionDiff {
    /// What is different in `to`, compared with `from`.
    ///
    /// # Errors
    /// When a definition cannot be written as JSON.
    pub fn between(from: &Definition, to: &Definition) -> Result<Self, serde_json::Error> {
        let (mut before, mut after) = (serde_json::to_value(from)?, serde_json::to_value(to)?);
        let mut old = steps(&mut before);
        let mut diff = Self { fields: fields(&before, &after_without_steps(&mut after)), steps: vec![] };
        let new = serde_json::to_value(&to.steps)?;
        for step in new.as_array().into_iter().flatten() {
            let name = name_of(step);
            match old.remove(&name) {
                None => diff.steps.push(StepDiff { name, change: StepChange::Added, fields: vec![] }),
                Some(was) if was != *step => {
                    let fields = fields(&was, step);
                    diff.steps.push(StepDiff { name, change: StepChange::Changed, fields });
                }
                Some(_) => {}
            }
        }
        for step in &from.steps {
            if old.contains_key(step.name.as_str()) {
                let name = step.name.as_str().to_owned();
                diff.steps.push(StepDiff { name, change: StepChange::Removed, fields: vec![] });
            }
        }
        Ok(diff)
    }
}

/// Takes the steps out of a definition.
fn steps(definition: &mut Value) -> BTreeMap<String, Value> {
    let taken = definition.as_object_mut().and_then(|fields| fields.remove("steps"));
    match taken {
        Some(Value::Array(steps)) => steps.into_iter().map(|step| (name_of(&step), step)).collect(),
        _ => BTreeMap::new(),
    }
}

fn after_without_steps(definition: &mut Value) -> Value {
    steps(definition);
    definition.take()
}

fn name_of(step: &Value) -> String {
    step.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The smallest parts that are different.
fn fields(from: &Value, to: &Value) -> Vec<FieldDiff> {
    let mut found = Vec::new();
    walk(String::new(), Some(from), Some(to), &mut found);
    found
}

fn walk(path: String, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<FieldDiff>) {
    if from == to {
        return;
    }
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (from, to) {
        let mut names: Vec<&String> =
            before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))).collect();
        names.sort();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            walk(path, before.get(name), after.get(name), found);
        }
        return;
    }
    found.push(FieldDiff { path, from: from.cloned(), to: to.cloned() });
}
