//! What a workflow asks of the agents and templates around it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::template::TemplateBody;
use domain::workflow::TaskWork;
use domain::{Definition, Key, Step};
use serde_json::Value;

use super::Fault;

/// The agents and templates that workflows may name.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The agents that exist.
    pub agents: BTreeSet<Key>,
    /// The templates that exist, as they are now.
    pub templates: BTreeMap<Key, Arc<TemplateBody>>,
}

/// Everything in a definition that does not fit the agents and templates around it: agents and templates that do not
/// exist, parameters that a template does not have, and required ones that a step does not give. The definition's
/// own rules are [`Definition::validate`]'s.
#[must_use]
pub fn check_definition(definition: &Definition, known: &Known) -> Vec<Fault> {
    let mut faults = Vec::new();
    for step in &definition.steps {
        for work in step.tasks() {
            if !known.agents.contains(&work.agent) {
                faults.push(Fault::UnknownAgent {
                    step: step.name.clone(),
                    agent: work.agent.clone(),
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
