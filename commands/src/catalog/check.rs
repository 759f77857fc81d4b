//! What a workflow asks of the agents and templates around it, and a trigger of its workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::template::TemplateBody;
use domain::trigger::{TriggerKind, TriggerSettings};
use domain::workflow::TaskWork;
use domain::{Definition, Key, Step};
use serde_json::Value;

use super::Fault;

/// What workflows and triggers may name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The agents that exist.
    pub agents: BTreeSet<Key>,
    /// The templates that exist, as they are now.
    pub templates: BTreeMap<Key, Arc<TemplateBody>>,
    /// The workflows that exist, as they are now.
    pub workflows: BTreeMap<Key, Arc<Definition>>,
}

/// Everything in a definition that does not fit the agents and templates around it: agents and templates that do not
/// exist, parameters that a template does not have, and required ones that a step does not give. The definition's
/// own rules are [`Definition::validate`]'s.
#[must_use]
pub fn check_definition(definition: &Definition, known: &Known) -> Vec<Fault> {
    let mut faults = Vec::new();
    for step in &definition.steps {
        for work in step.tasks() {
            if let Some(agent) = work.agent.named()
                && !known.agents.contains(agent)
            {
                faults.push(Fault::UnknownAgent {
                    step: step.name.clone(),
                    agent: agent.clone(),
                    known: list(known.agents.iter().map(Key::as_str)),
                });
            }
            match known.templates.get(&work.template) {
                Some(template) => check_parameters(step, work, template, &mut faults),
                None => faults.push(Fault::UnknownTemplate {
                    step: step.name.clone(),
                    template: work.template.clone(),
                    known: list(known.templates.keys().map(Key::as_str)),
                }),
            }
        }
    }
    faults
}

fn check_parameters(step: &Step, work: &TaskWork, template: &TemplateBody, faults: &mut Vec<Fault>) {
    let properties = template.parameters.get("properties").and_then(Value::as_object);
    let names = || properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
    for name in work.input.keys().filter(|name| !names().any(|known| known == name.as_str())) {
        faults.push(Fault::UnknownParameter {
            step: step.name.clone(),
            template: template.key.clone(),
            name: name.clone(),
            known: list(names()),
        });
    }
    let required = template.parameters.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !work.input.keys().any(|given| given.as_str() == name) {
            faults.push(Fault::MissingParameter {
                step: step.name.clone(),
                template: template.key.clone(),
                name: name.to_owned(),
            });
        }
    }
}

/// Everything in a trigger that does not fit the workflows around it: a workflow that does not exist, input that it does
/// not take, and required input that the trigger does not give.
#[must_use]
pub fn check_trigger(settings: &TriggerSettings, known: &Known) -> Vec<Fault> {
    let workflow = settings.workflow.clone();
    let Some(definition) = known.workflows.get(&workflow) else {
        let known = list(known.workflows.keys().map(Key::as_str));
        return vec![Fault::UnknownWorkflow { workflow, known }];
    };
    // What was posted is handed on as it is; what it will be is not known before.
    if settings.input.is_empty() && matches!(settings.kind, TriggerKind::External { .. }) {
        return Vec::new();
    }
    let schema = &definition.input_schema;
    let properties = schema.get("properties").and_then(Value::as_object);
    let names = || properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str));
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let mut faults = Vec::new();
    for name in settings.input.keys().filter(|name| closed && !names().any(|known| known == name.as_str())) {
        let (name, known) = (name.clone(), list(names()));
        faults.push(Fault::UnknownInput { workflow: workflow.clone(), name, known });
    }
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        let given = settings.input.keys().any(|given| given.as_str() == name);
        let usual = properties.and_then(|properties| properties.get(name)).and_then(|property| property.get("default"));
        if !given && usual.is_none() {
            faults.push(Fault::MissingInput { workflow: workflow.clone(), name: name.to_owned() });
        }
    }
    faults
}

/// Names for a message, at most a dozen of them.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<&str> = names.collect();
    match all.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => {
            let shown: Vec<&str> = all.into_iter().take(SHOWN).collect();
            format!("{} and {} more", shown.join(", "), count - SHOWN)
        }
        _ => all.join(", "),
    }
}
