//! Values on their way between a run's input, its steps and its output.

use serde_json::{Value, json};

use super::state::Run;
pub(super) use crate::expression::is_true;
use crate::workflow::{Mapping, TaskWork};
use crate::{AttemptError, Definition, ErrorKind, ExpressionError, Root, Step, StepName, ValueTooLarge, check_size};

/// Values that a mapping could not bring from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// An expression failed.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// What it made is too large.
    #[error("what the mapping makes {0}")]
    TooLarge(#[from] ValueTooLarge),
    /// What it made is of the wrong kind.
    #[error("{0}")]
    Unfit(String),
}

impl Run {
    /// The parameters of a task's template; for an element of a list with the element and its number. A `null` is left
    /// out, so that the template's schema decides whether the parameter may be missing.
    ///
    /// # Errors
    /// When an expression meets values that it cannot handle, or what it makes is too large to be kept.
    pub fn task_parameters(&self, work: &TaskWork, item: Option<(u32, &Value)>) -> Result<Value, MappingError> {
        let [input, steps] = self.scope();
        let mut parameters = match item {
            None => evaluate_all(&work.input, &[input, steps])?,
            Some((index, element)) => {
                let index = Value::from(index);
                let scope = [input, steps, ("item", Root::Value(element)), ("index", Root::Value(&index))];
                evaluate_all(&work.input, &scope)?
            }
        };
        parameters.retain(|_, value| !value.is_null());
        sized(Value::Object(parameters))
    }

    /// The input of a run that is started as a step. A `null` is left out.
    ///
    /// # Errors
    /// As for a task.
    pub fn child_input(&self, mapping: &Mapping) -> Result<Value, MappingError> {
        let mut input = evaluate_all(mapping, &self.scope())?;
        input.retain(|_, value| !value.is_null());
        sized(Value::Object(input))
    }
}

/// The value itself, if it is not too large to be kept.
pub(super) fn sized(value: Value) -> Result<Value, MappingError> {
    check_size(&value)?;
    Ok(value)
}

pub(super) fn evaluate_all(
    mapping: &Mapping,
    scope: &[(&str, Root<'_>)],
) -> Result<serde_json::Map<String, Value>, ExpressionError> {
    mapping.iter().map(|(name, expression)| Ok((name.as_str().to_owned(), expression.evaluate(scope)?))).collect()
}

pub(super) fn step_output(step: &Step, result: &Value) -> Result<Value, MappingError> {
    if step.output.is_empty() {
        let fields = step.work.default_fields().iter();
        let found = fields.map(|field| ((*field).to_owned(), result.get(field).cloned().unwrap_or(Value::Null)));
        return sized(Value::Object(found.collect()));
    }
    sized(Value::Object(evaluate_all(&step.output, &[("result", Root::Value(result))])?))
}

pub(super) fn run_output(definition: &Definition, state: &Run) -> Result<Value, MappingError> {
    if !definition.output.is_empty() {
        return sized(Value::Object(evaluate_all(&definition.output, &state.scope())?));
    }
    let needed = |name: &StepName| definition.steps.iter().any(|step| step.needs.contains(name));
    let last = state.outputs().iter().filter(|(name, _)| !needed(name));
    sized(last.map(|(name, output)| (name.as_str().to_owned(), (**output).clone())).collect())
}

pub(super) fn mapping_failed(error: &MappingError) -> AttemptError {
    AttemptError { kind: ErrorKind::InvalidInput, message: error.to_string(), retry_after: None }
}

/// The result of an approval, as output mappings read it.
pub(super) fn approval_result(approved: bool, asked: &super::state::Asked) -> Value {
    let decisions: Vec<Value> = asked
        .decisions
        .iter()
        .map(|decision| {
            json!({
                "by": decision.by.to_string(),
                "approved": decision.approved,
                "comment": decision.comment,
            })
        })
        .collect();
    json!({ "approved": approved, "decisions": decisions, "content": *asked.content })
}
