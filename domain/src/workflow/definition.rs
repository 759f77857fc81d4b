use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Expression, ExpressionError, Key, RetryPolicy, StepName};

/// One version of a workflow, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The workflow's key.
    pub key: Key,
    /// The name that people read.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whose it is.
    pub department: String,
    /// Free words for finding it.
    pub tags: Vec<String>,
    /// JSON Schema (2020-12) of the run's input, an object schema.
    pub input_schema: Value,
    /// The steps; their order carries no meaning.
    pub steps: Vec<Step>,
    /// The run's output: names and the expressions that give their values, over `input` and `steps`. When empty,
    /// the output holds the outputs of the steps that nobody needs.
    pub output: BTreeMap<StepName, Expression>,
}

/// One step: a template, carried out by an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name, unique in the workflow.
    pub name: StepName,
    /// The title that people read.
    pub title: String,
    /// Who does it.
    pub agent: Key,
    /// What is done.
    pub template: Key,
    /// The template's parameters: names and expressions over `input` and `steps`.
    pub input: BTreeMap<StepName, Expression>,
    /// The step's output: names and expressions over `result` (with `text` and `json`). When empty, the output is
    /// `{"text": …}`.
    pub output: BTreeMap<StepName, Expression>,
    /// The steps that must have completed first.
    pub needs: Vec<StepName>,
    /// When a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

/// What is wrong with a definition; all that is wrong is reported at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// There is nothing to do.
    #[error("the workflow has no steps; add at least one")]
    NoSteps,
    /// More steps than can be handled.
    #[error("the workflow has {count} steps; at most {} are allowed", Definition::MAX_STEPS)]
    TooManySteps {
        /// How many there are.
        count: usize,
    },
    /// Two steps share a name.
    #[error("two steps are called `{name}`; step names must be unique")]
    DuplicateStep {
        /// The name.
        name: StepName,
    },
    /// A dependency that does not exist.
    #[error("step `{step}` needs `{missing}`, but there is no step of that name")]
    UnknownStep {
        /// Who needs it.
        step: StepName,
        /// What is missing.
        missing: StepName,
    },
    /// Steps wait for each other in a circle.
    #[error("steps wait for each other in a circle: {}", .cycle.iter().map(StepName::as_str).collect::<Vec<_>>().join(" -> "))]
    Cycle {
        /// The circle; the first name is also the last.
        cycle: Vec<StepName>,
    },
    /// A mapping reads something that is not there.
    #[error("{place}: `{expression}` reads `{path}`, {why}")]
    MappingToNowhere {
        /// Where the mapping stands.
        place: String,
        /// The expression.
        expression: String,
        /// What it reads.
        path: String,
        /// Why that leads nowhere, and what would be right.
        why: String,
    },
    /// A mapping that is no JMESPath.
    #[error("{place}: {error}")]
    BadExpression {
        /// Where the mapping stands.
        place: String,
        /// What the library says.
        error: ExpressionError,
    },
    /// The input schema is not an object schema.
    #[error("the input schema must be a JSON Schema of type `object`")]
    InputSchemaNotObject,
    /// A number out of its range.
    #[error("step `{step}`: {what}")]
    OutOfRange {
        /// Which step.
        step: StepName,
        /// What is out of range, and the range.
        what: &'static str,
    },
}

impl Definition {
    /// The most steps that a workflow may have.
    pub const MAX_STEPS: usize = 1000;

    /// Finds a step by its name.
    #[must_use]
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == *name)
    }

    /// Checks everything that can be known without the rest of the catalogue.
    ///
    /// # Errors
    /// All that is wrong, in the order of the steps.
    pub fn validate(&self) -> Result<(), Vec<DefinitionError>> {
        let mut errors = Vec::new();
        if self.steps.is_empty() {
            errors.push(DefinitionError::NoSteps);
        }
        if self.steps.len() > Self::MAX_STEPS {
            // Everything below grows with the number of steps, so an absurd number is refused alone.
            return Err(vec![DefinitionError::TooManySteps { count: self.steps.len() }]);
        }
        if self.input_schema.get("type").and_then(Value::as_str) != Some("object") {
            errors.push(DefinitionError::InputSchemaNotObject);
        }
        let mut by_name: BTreeMap<&StepName, &Step> = BTreeMap::new();
        for step in &self.steps {
            if by_name.insert(&step.name, step).is_some() {
                errors.push(DefinitionError::DuplicateStep { name: step.name.clone() });
            }
            step.check_ranges(&mut errors);
        }
        for step in &self.steps {
            for missing in step.needs.iter().filter(|need| !by_name.contains_key(need)) {
                errors.push(DefinitionError::UnknownStep { step: step.name.clone(), missing: missing.clone() });
            }
        }
        if let Some(cycle) = find_cycle(&by_name) {
            errors.push(DefinitionError::Cycle { cycle });
        } else {
            self.check_mappings(&by_name, &mut errors);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_mappings(&self, by_name: &BTreeMap<&StepName, &Step>, errors: &mut Vec<DefinitionError>) {
        for step in &self.steps {
            let before = ancestors(step, by_name);
            for (name, expression) in &step.input {
                let place = format!("step `{}`, input `{name}`", step.name);
                self.check_run_scope(place, expression, by_name, Some(&before), errors);
            }
            for (name, expression) in &step.output {
                let place = format!("step `{}`, output `{name}`", step.name);
                check_references(place, expression, errors, |path| match path {
                    [root, ..] if root != "result" => Some("but an output mapping reads only `result`".to_owned()),
                    [_, field, ..] if field != "text" && field != "json" => {
                        Some("but `result` has only `text` and `json`".to_owned())
                    }
                    _ => None,
                });
            }
        }
        for (name, expression) in &self.output {
            self.check_run_scope(format!("run output `{name}`"), expression, by_name, None, errors);
        }
    }

    fn check_run_scope(
        &self,
        place: String,
        expression: &Expression,
        by_name: &BTreeMap<&StepName, &Step>,
        before: Option<&BTreeSet<&StepName>>,
        errors: &mut Vec<DefinitionError>,
    ) {
        let properties = self.input_schema.get("properties").and_then(Value::as_object);
        check_references(place, expression, errors, |path| match path {
            [root, ..] if root != "input" && root != "steps" => {
                Some("but a mapping reads only `input` and `steps`".to_owned())
            }
            [root, field, ..] if root == "input" => {
                let known = properties.is_none_or(|known| known.contains_key(field));
                (!known).then(|| "but the input schema has no such property".to_owned())
            }
            [_, name, rest @ ..] => {
                let Some((_, step)) = by_name.iter().find(|(known, _)| known.as_str() == name) else {
                    return Some("but there is no step of that name".to_owned());
                };
                if before.is_some_and(|before| !before.contains(&step.name)) {
                    return Some(format!("but this step does not wait for it; add `{name}` to its needs"));
                }
                let field = rest.first()?;
                let known = if step.output.is_empty() {
                    field == "text"
                } else {
                    step.output.keys().any(|key| key.as_str() == field)
                };
                (!known).then(|| "but that step's output has no such value".to_owned())
            }
            _ => None,
        });
    }
}

impl Step {
    fn check_ranges(&self, errors: &mut Vec<DefinitionError>) {
        let retry = &self.retry;
        let mut check = |ok: bool, what| {
            if !ok {
                errors.push(DefinitionError::OutOfRange { step: self.name.clone(), what });
            }
        };
        check((1..=100).contains(&retry.max_attempts), "retry.max_attempts must be 1 to 100");
        check((1000..=10_000).contains(&retry.multiplier_milli), "retry.multiplier must be 1 to 10");
        check(retry.max_backoff <= Duration::from_secs(86_400), "retry.max_backoff must be at most one day");
        check(retry.first_backoff <= retry.max_backoff, "retry.first_backoff must not exceed retry.max_backoff");
        check(
            self.attempt_timeout >= Duration::from_millis(1) && self.attempt_timeout <= Duration::from_secs(86_400),
            "timeout must be more than zero and at most one day",
        );
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

fn ancestors<'a>(step: &'a Step, by_name: &BTreeMap<&'a StepName, &'a Step>) -> BTreeSet<&'a StepName> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&StepName> = step.needs.iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(by_name.get(name).into_iter().flat_map(|step| &step.needs));
        }
    }
    found
}

/// Depth-first search with an explicit stack, so that a long chain cannot exhaust the thread's.
fn find_cycle(by_name: &BTreeMap<&StepName, &Step>) -> Option<Vec<StepName>> {
    let mut done: BTreeSet<&StepName> = BTreeSet::new();
    for start in by_name.keys() {
        let mut trail: Vec<(&StepName, usize)> = vec![(start, 0)];
        while let Some((name, next)) = trail.pop() {
            let need = by_name.get(name).and_then(|step| step.needs.get(next));
            let Some(need) = need else {
                done.insert(name);
                continue;
            };
            trail.push((name, next + 1));
            if let Some(from) = trail.iter().position(|(open, _)| *open == need) {
                let mut cycle: Vec<StepName> = trail.iter().skip(from).map(|(open, _)| (*open).clone()).collect();
                cycle.push((*need).clone());
                return Some(cycle);
            }
            if by_name.contains_key(need) && !done.contains(need) {
                trail.push((need, 0));
            }
        }
    }
    None
}
