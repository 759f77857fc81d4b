use std::collections::BTreeMap;
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
        let graph = Graph::new(&by_name);
        match graph.order() {
            Err(cycle) => errors.push(DefinitionError::Cycle { cycle }),
            Ok(order) => self.check_mappings(&by_name, &graph.ancestors(&order), &mut errors),
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn check_mappings(
        &self,
        by_name: &BTreeMap<&StepName, &Step>,
        ancestors: &Ancestors<'_>,
        errors: &mut Vec<DefinitionError>,
    ) {
        for step in &self.steps {
            let before = |name: &StepName| ancestors.has(&step.name, name);
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
        before: Option<&dyn Fn(&StepName) -> bool>,
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
                if before.is_some_and(|before| !before(&step.name)) {
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

/// The steps as numbers, so that even the densest graph that is allowed is checked in a moment.
struct Graph<'a> {
    names: Vec<&'a StepName>,
    needs: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(by_name: &BTreeMap<&'a StepName, &'a Step>) -> Self {
        let names: Vec<&StepName> = by_name.keys().copied().collect();
        let needs = by_name.values().map(|step| step.needs.iter().filter_map(|need| names.binary_search(&need).ok()));
        let needs = needs.map(Iterator::collect).collect();
        Self { names, needs }
    }

    /// Every step after those that it needs, or a circle. Depth-first search with an explicit stack, so that a long
    /// chain cannot exhaust the thread's.
    fn order(&self) -> Result<Vec<usize>, Vec<StepName>> {
        let mut seen = vec![false; self.names.len()];
        let mut order = Vec::with_capacity(self.names.len());
        let mut done = vec![false; self.names.len()];
        for start in 0..self.names.len() {
            let mut trail = if mark(&mut seen, start) { vec![(start, 0)] } else { vec![] };
            while let Some((step, next)) = trail.last_mut() {
                let Some(need) = self.needs.get(*step).and_then(|needs| needs.get(*next)).copied() else {
                    mark(&mut done, *step);
                    order.push(*step);
                    trail.pop();
                    continue;
                };
                *next += 1;
                if mark(&mut seen, need) {
                    trail.push((need, 0));
                } else if done.get(need) == Some(&false) {
                    let circle = trail.iter().map(|(step, _)| *step).skip_while(|step| *step != need).chain([need]);
                    return Err(circle.filter_map(|step| Some((*self.names.get(step)?).clone())).collect());
                }
            }
        }
        Ok(order)
    }

    /// For every step, all that come before it.
    fn ancestors(&self, order: &[usize]) -> Ancestors<'a> {
        let words = self.names.len().div_ceil(64);
        let mut rows = vec![Vec::new(); self.names.len()];
        for step in order {
            let mut row = vec![0_u64; words];
            for need in self.needs.get(*step).into_iter().flatten() {
                let before = rows.get(*need).into_iter().flatten();
                row.iter_mut().zip(before).for_each(|(word, before)| *word |= before);
                if let Some(word) = row.get_mut(need / 64) {
                    *word |= 1 << (need % 64);
                }
            }
            if let Some(slot) = rows.get_mut(*step) {
                *slot = row;
            }
        }
        Ancestors { names: self.names.clone(), rows }
    }
}

/// Sets a flag; whether it was clear before.
fn mark(flags: &mut [bool], place: usize) -> bool {
    flags.get_mut(place).is_some_and(|flag| !std::mem::replace(flag, true))
}

/// Who comes before whom: a row of bits for every step.
struct Ancestors<'a> {
    names: Vec<&'a StepName>,
    rows: Vec<Vec<u64>>,
}

impl Ancestors<'_> {
    fn has(&self, step: &StepName, ancestor: &StepName) -> bool {
        let (Ok(step), Ok(ancestor)) = (self.names.binary_search(&step), self.names.binary_search(&ancestor)) else {
            return false;
        };
        let word = self.rows.get(step).and_then(|row| row.get(ancestor / 64));
        word.is_some_and(|word| word >> (ancestor % 64) & 1 == 1)
    }
}
