//! Where values of a random workflow come from: each source is written down as an expression for the engine, and
//! evaluated here by rules of our own, so that both can be compared.

use std::collections::BTreeMap;

use domain::{Expression, StepName};
use serde_json::{Value, json};

use crate::catalog::expression;

/// What a source reads.
pub(crate) struct Scope<'a> {
    pub(crate) input: &'a Value,
    pub(crate) outputs: &'a BTreeMap<StepName, Value>,
    /// The element of a list.
    pub(crate) item: Option<&'a Value>,
}

/// A value that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfit;

/// A text, or nothing.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Literal(String),
    Word,
    Item,
    /// A field of a step's output.
    Field(StepName, &'static [&'static str]),
    /// A text instead of nothing.
    Or(Box<Self>, String),
    /// Both, with a space between; nothing of both may be missing.
    Join(Box<Self>, Box<Self>),
}

impl Text {
    fn write(&self) -> String {
        match self {
            Self::Literal(text) => format!("'{text}'"),
            Self::Word => "input.word".to_owned(),
            Self::Item => "item".to_owned(),
            Self::Field(step, path) => format!("steps.{step}.{}", path.join(".")),
            Self::Or(first, instead) => format!("{} || '{instead}'", first.write()),
            Self::Join(left, right) => format!("join(' ', [{}, {}])", left.write(), right.write()),
        }
    }

    pub(crate) fn expression(&self) -> Expression {
        expression(&self.write())
    }

    pub(crate) fn value(&self, scope: &Scope<'_>) -> Result<Value, Unfit> {
        Ok(match self {
            Self::Literal(text) => json!(text),
            Self::Word => scope.input.get("word").cloned().unwrap_or_default(),
            Self::Item => scope.item.cloned().unwrap_or_default(),
            Self::Field(step, path) => {
                let output = scope.outputs.get(step);
                path.iter().fold(output, |at, name| at?.get(*name)).cloned().unwrap_or_default()
            }
            Self::Or(first, instead) => match first.value(scope)? {
                Value::Null => json!(instead),
                Value::String(text) if text.is_empty() => json!(instead),
                value => value,
            },
            Self::Join(left, right) => match (left.value(scope)?, right.value(scope)?) {
                (Value::String(left), Value::String(right)) => json!(format!("{left} {right}")),
                _ => return Err(Unfit),
            },
        })
    }
}

/// A list, or nothing.
#[derive(Debug, Clone)]
pub(crate) enum List {
    Words,
    /// The texts of an earlier step over a list.
    Texts(StepName),
}

impl List {
    pub(crate) fn expression(&self) -> Expression {
        match self {
            Self::Words => expression("input.words"),
            Self::Texts(step) => expression(&format!("steps.{step}.items[*].text")),
        }
    }

    pub(crate) fn value(&self, scope: &Scope<'_>) -> Value {
        match self {
            Self::Words => scope.input.get("words").cloned().unwrap_or_default(),
            Self::Texts(step) => {
                let items = scope.outputs.get(step).and_then(|output| output.get("items")).and_then(Value::as_array);
                items.map_or(Value::Null, |items| items.iter().filter_map(|item| item.get("text")).cloned().collect())
            }
        }
    }
}

/// A condition.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Flag,
    NoFlag,
    Large,
    Approved(StepName),
    There(StepName),
}

impl Condition {
    pub(crate) fn expression(&self) -> Expression {
        match self {
            Self::Flag => expression("input.flag"),
            Self::NoFlag => expression("!(input.flag)"),
            Self::Large => expression("input.number > `5`"),
            Self::Approved(step) => expression(&format!("steps.{step}.approved")),
            Self::There(step) => expression(&format!("steps.{step}")),
        }
    }

    pub(crate) fn is_met(&self, scope: &Scope<'_>) -> bool {
        let flag = || scope.input.get("flag") == Some(&Value::Bool(true));
        match self {
            Self::Flag => flag(),
            Self::NoFlag => !flag(),
            Self::Large => scope.input.get("number").and_then(Value::as_i64).is_some_and(|number| number > 5),
            Self::Approved(step) => {
                scope.outputs.get(step).and_then(|output| output.get("approved")) == Some(&Value::Bool(true))
            }
            Self::There(step) => scope.outputs.contains_key(step),
        }
    }
}

/// Who a run is for, as limits count it.
pub(crate) fn expression_of_who() -> Expression {
    expression("input.who")
}
