//! Mappings between steps are JMESPath expressions (jmespath.org/specification.html) over named roots.
//!
//! A plain path such as `steps.outline.text` is evaluated directly on the JSON, with the meaning that JMESPath gives
//! it; everything else goes through the library.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jmespath::ast::Ast;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StepName;

/// A checked JMESPath expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression(Arc<str>);

/// An expression that cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expression `{source_text}`: {message}")]
pub struct ExpressionError {
    /// The expression, as written.
    pub source_text: String,
    /// What is wrong, with the place where the library knows it.
    pub message: String,
}

/// A path that an expression reads: a root and up to two names below it, as in `steps.outline.text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(pub Vec<String>);

/// What a root name of an expression stands for.
#[derive(Debug, Clone, Copy)]
pub enum Root<'a> {
    /// One JSON value.
    Value(&'a Value),
    /// An object made of shared values, such as the outputs of steps.
    Shared(&'a BTreeMap<StepName, Arc<Value>>),
}

impl Root<'_> {
    fn follow<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> Value {
        let first = match self {
            Self::Value(value) => Some(*value),
            Self::Shared(map) => match names.next() {
                Some(name) => map.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| &**value),
                None => {
                    return map.iter().map(|(key, value)| (key.as_str().to_owned(), (**value).clone())).collect();
                }
            },
        };
        names.fold(first, |at, name| at.and_then(|value| value.get(name))).cloned().unwrap_or(Value::Null)
    }
}

impl Expression {
    /// The longest allowed expression, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// The deepest allowed nesting of brackets and operators.
    pub const MAX_NESTING: usize = 128;

    /// The source text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes an expression that was checked when it was first written, such as one read back from the journal.
    #[must_use]
    pub fn trusted(source: &str) -> Self {
        Self(source.into())
    }

    /// Evaluates against the named roots. What is not there is `null`, as JMESPath says.
    ///
    /// # Errors
    /// When a function of the expression meets a value of the wrong type.
    pub fn evaluate(&self, roots: &[(&str, Root<'_>)]) -> Result<Value, ExpressionError> {
        if is_path(&self.0) {
            let mut names = self.0.split('.');
            let root = names.next().and_then(|root| roots.iter().find(|(name, _)| *name == root));
            return Ok(root.map_or(Value::Null, |(_, root)| root.follow(names)));
        }
        let scope: serde_json::Map<String, Value> =
            roots.iter().map(|(name, root)| ((*name).to_owned(), root.follow(std::iter::empty()))).collect();
        let found = compile(&self.0)?.search(Value::Object(scope)).map_err(|error| self.error(&error))?;
        serde_json::to_value(&*found).map_err(|error| self.error(&error))
    }

    /// Whether it is met, taken as a condition: JMESPath's truth, by which `false`, `null`, and empty texts, lists and
    /// objects are false.
    ///
    /// # Errors
    /// As [`Expression::evaluate`].
    pub fn is_met(&self, roots: &[(&str, Root<'_>)]) -> Result<bool, ExpressionError> {
        self.evaluate(roots).map(|value| is_true(&value))
    }

    /// What the expression reads, for checking that it exists.
    ///
    /// # Errors
    /// When the source does not parse, which a checked expression does.
    pub fn references(&self) -> Result<Vec<Reference>, ExpressionError> {
        let mut found = Vec::new();
        collect(compile(&self.0)?.as_ast(), &mut found);
        Ok(found)
    }

    fn error(&self, error: &dyn fmt::Display) -> ExpressionError {
        ExpressionError { source_text: self.0.as_ref().to_owned(), message: error.to_string() }
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(source: &str) -> Result<Self, Self::Err> {
        if source.len() > Self::MAX_LEN {
            return Err(ExpressionError {
                source_text: source.chars().take(80).collect(),
                message: format!("is longer than {} bytes", Self::MAX_LEN),
            });
        }
        compile(source)?;
        Ok(Self(source.into()))
    }
}

impl TryFrom<String> for Expression {
    type Error = ExpressionError;

    fn try_from(source: String) -> Result<Self, Self::Error> {
        source.parse()
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.0.as_ref().to_owned()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// JMESPath's truth.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Number(_) => true,
    }
}

fn compile(source: &str) -> Result<jmespath::Expression<'static>, ExpressionError> {
    let wrong = |message| ExpressionError { source_text: source.to_owned(), message };
    if nesting(source) > Expression::MAX_NESTING {
        return Err(wrong(format!("is nested deeper than {} levels", Expression::MAX_NESTING)));
    }
    jmespath::compile(source).map_err(|error| wrong(error.to_string()))
}

/// An upper bound of the syntax tree's depth. The library parses, evaluates and drops recursively, so a deep
/// expression would exhaust the thread's stack, which ends the process.
///
/// Every level of the tree is an opening bracket or an operator that is still open; what stands behind a comma
/// begins anew below its bracket.
fn nesting(source: &str) -> usize {
    let mut deepest = 0;
    // Per open bracket, how deep the tree was when it opened.
    let mut outer = vec![0];
    let mut depth = 0_usize;
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' | '`' => {
                while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                    if inner == '\\' {
                        chars.next();
                    }
                }
            }
            '(' | '[' | '{' => {
                depth += 1;
                outer.push(depth);
            }
            // A closed bracket is one level more for what follows it, as in `a[0][0]`.
            ')' | ']' | '}' if outer.len() > 1 => depth = outer.pop().unwrap_or_default(),
            ',' => depth = outer.last().copied().unwrap_or_default(),
            '.' | '|' | '&' | '!' | '<' | '>' | '=' | '*' | '?' => depth += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn is_path(source: &str) -> bool {
    source.split('.').all(|name| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Collects the paths that are read from the root. What stands to the right of a projection, pipe or index reads
/// from an inner value and says nothing about roots.
fn collect(ast: &Ast, found: &mut Vec<Reference>) {
    if let Some(path) = path(ast) {
        found.push(Reference(path));
        return;
    }
    match ast {
        Ast::Comparison { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => {
            collect(lhs, found);
            collect(rhs, found);
        }
        Ast::Condition { predicate, then, .. } => {
            collect(predicate, found);
            collect(then, found);
        }
        Ast::Flatten { node, .. } | Ast::Not { node, .. } | Ast::ObjectValues { node, .. } => collect(node, found),
        Ast::Function { args, .. } => args.iter().for_each(|arg| collect(arg, found)),
        Ast::MultiList { elements, .. } => elements.iter().for_each(|element| collect(element, found)),
        Ast::MultiHash { elements, .. } => elements.iter().for_each(|pair| collect(&pair.value, found)),
        Ast::Projection { lhs, .. } | Ast::Subexpr { lhs, .. } => collect(lhs, found),
        Ast::Expref { .. }
        | Ast::Identity { .. }
        | Ast::Field { .. }
        | Ast::Index { .. }
        | Ast::Literal { .. }
        | Ast::Slice { .. } => {}
    }
}

fn path(ast: &Ast) -> Option<Vec<String>> {
    match ast {
        Ast::Field { name, .. } => Some(vec![name.clone()]),
        Ast::Subexpr { lhs, rhs, .. } => {
            let mut names = path(lhs)?;
            names.extend(path(rhs)?);
            Some(names)
        }
        _ => None,
    }
}
