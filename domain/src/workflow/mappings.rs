//! Checks that every expression of a definition reads what will be there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::definition::DefinitionError;
use super::graph::Ancestors;
use super::step::{Mapping, Wait, Work};
use crate::{Definition, Expression, Step, StepName};

/// What an expression may read.
struct Scope<'a> {
    definition: &'a Definition,
    steps: &'a BTreeMap<&'a StepName, &'a Step>,
    /// Which steps have surely ended before it is evaluated; `None` when all have.
    before: Option<&'a dyn Fn(&StepName) -> bool>,
    /// Whether `item` and `index` are there.
    item: bool,
}

pub(super) fn check(
    definition: &Definition,
    steps: &BTreeMap<&StepName, &Step>,
    ancestors: &Ancestors<'_>,
    errors: &mut Vec<DefinitionError>,
) {
    for step in &definition.steps {
        let before = |name: &StepName| ancestors.has(&step.name, name);
        let scope = Scope { definition, steps, before: Some(&before), item: false };
        check_step(step, &scope, errors);
        if let Some(undo) = &step.compensation {
            let known = |name: &StepName| *name == step.name || ancestors.has(&step.name, name);
            let scope = Scope { before: Some(&known), ..scope };
            scope.mapping(&format!("step `{}`, compensation input", step.name), &undo.input, errors);
        }
        let fields = step.work.result_fields();
        for (name, expression) in &step.output {
            let place = format!("step `{}`, output `{name}`", step.name);
            check_references(place, expression, errors, |path| match path {
                [root, ..] if root != "result" => Some("but an output mapping reads only `result`".to_owned()),
                [_, field, ..] if !fields.contains(&field.as_str()) => {
                    Some(format!("but `result` has only {}", listed(fields)))
                }
                _ => None,
            });
        }
    }
    let scope = Scope { definition, steps, before: None, item: false };
    scope.mapping("run output", &definition.output, errors);
}

fn check_step(step: &Step, scope: &Scope<'_>, errors: &mut Vec<DefinitionError>) {
    let place = |what: &str| format!("step `{}`, {what}", step.name);
    if let Some(when) = &step.when {
        scope.expression(place("when"), when, errors);
    }
    match &step.work {
        Work::Task(task) => scope.mapping(&place("input"), &task.input, errors),
        Work::ForEach(each) => {
            scope.expression(place("for_each.over"), &each.over, errors);
            let scope = Scope { item: true, ..*scope };
            scope.mapping(&place("input"), &each.each.input, errors);
        }
        Work::Approval(approval) => scope.mapping(&place("approval.content"), &approval.content, errors),
        Work::Wait(Wait::Until(until)) => scope.expression(place("wait.until"), until, errors),
        Work::Wait(Wait::For(_)) | Work::Signal(_) => {}
        Work::Run(run) => scope.mapping(&place("run.input"), &run.input, errors),
    }
}

impl Scope<'_> {
    fn mapping(&self, place: &str, mapping: &Mapping, errors: &mut Vec<DefinitionError>) {
        for (name, expression) in mapping {
            self.expression(format!("{place} `{name}`"), expression, errors);
        }
    }

    fn expression(&self, place: String, expression: &Expression, errors: &mut Vec<DefinitionError>) {
        let properties = self.definition.input_schema.get("properties").and_then(Value::as_object);
        check_references(place, expression, errors, |path| match path {
            [root, ..] if self.item && (root == "item" || root == "index") => None,
            [root, ..] if root != "input" && root != "steps" => {
                let item = if self.item { ", `item` and `index`" } else { "" };
                Some(format!("but a mapping reads only `input` and `steps`{item}"))
            }
            [root, field, ..] if root == "input" => {
                let known = properties.is_none_or(|known| known.contains_key(field));
                (!known).then(|| "but the input schema has no such property".to_owned())
            }
            [_, name, rest @ ..] => {
                let Some((_, step)) = self.steps.iter().find(|(known, _)| known.as_str() == name) else {
                    return Some("but there is no step of that name".to_owned());
                };
                if self.before.is_some_and(|before| !before(&step.name)) {
                    return Some(format!("but this step does not wait for it; add `{name}` to its needs"));
                }
                let field = rest.first()?;
                let known = if step.output.is_empty() {
                    step.work.default_fields().contains(&field.as_str())
                } else {
                    step.output.keys().any(|key| key.as_str() == field)
                };
                (!known).then(|| "but that step's output has no such value".to_owned())
            }
            _ => None,
        });
    }
}

fn listed(fields: &[&str]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn check_references(
    place: String,
    expression: &Expression,
    errors: &mut Vec<DefinitionError>,
    wrong: impl Fn(&[String]) -> Option<String>,
) {
    match expression.references() {
        Err(error) => errors.push(DefinitionError::BadExpression { place, error }),
        Ok(references) => {
            for reference in references {
                if let Some(why) = wrong(&reference.0) {
                    errors.push(DefinitionError::MappingToNowhere {
                        place: place.clone(),
                        expression: expression.to_string(),
                        path: reference.0.join("."),
                        why,
                    });
                }
            }
        }
    }
}
