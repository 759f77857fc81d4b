use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::wire::nano_usd;
use crate::{Consumed, CostSource, Failure, FailureKind, Usage};

/// What a program's output means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// All of it is the answer.
    #[default]
    Text,
    /// It is JSON, one value or one in each line, of which the last counts.
    Json(Box<Fields>),
}

/// Where in JSON what stands, as JSON pointers (RFC 6901); `None` for what it does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// The answer, a text.
    pub text: String,
    /// Whether it failed: `true`, or anything but `false`, `null` and nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// The model that worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<String>,
    /// Tokens out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<String>,
    /// What it cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dollars: Option<String>,
    /// Its own account of what it used, which is kept word for word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

/// What was made of it.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) model: Option<String>,
    pub(super) usage: Usage,
    pub(super) cost: Option<i64>,
    pub(super) raw_usage: Option<Value>,
}

impl Output {
    /// Every pointer.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &str> {
        let fields = match self {
            Self::Text => None,
            Self::Json(fields) => Some(fields),
        };
        fields.into_iter().flat_map(|fields| {
            let Fields { text, failed, model, input_tokens, output_tokens, dollars, usage } = &**fields;
            let others = [failed, model, input_tokens, output_tokens, dollars, usage].into_iter().flatten();
            others.chain([text]).map(String::as_str)
        })
    }

    pub(super) fn read(&self, key: &str, said: &str) -> Result<Answer, Failure> {
        let Self::Json(fields) = self else {
            let text = said.trim_end().to_owned();
            return Ok(Answer { text, model: None, usage: Usage::default(), cost: None, raw_usage: None });
        };
        let malformed = |what: String| Failure::malformed(format!("{key}: {what}"));
        let value: Value = match serde_json::from_str(said.trim()) {
            Ok(value) => value,
            Err(whole) => {
                let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
                serde_json::from_str(last).map_err(|_| malformed(format!("its output is no JSON: {whole}")))?
            }
        };
        let at = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| value.pointer(pointer));
        let tokens = |pointer: &Option<String>| at(pointer).and_then(Value::as_u64);
        let (input, output) = (tokens(&fields.input_tokens), tokens(&fields.output_tokens));
        let cost = at(&fields.dollars).and_then(Value::as_f64).and_then(nano_usd);
        let (usage, raw_usage) = (Usage { input, output, ..Usage::default() }, at(&fields.usage).cloned());
        let model = at(&fields.model).and_then(Value::as_str).map(str::to_owned);
        let text = value.pointer(&fields.text).and_then(Value::as_str);
        // What it has used is told with the failure, where it says so.
        let told = usage != Usage::default() || raw_usage.is_some() || cost.is_some();
        let failed = |failure: Failure| match told {
            true => failure.with_consumed(Consumed {
                usage,
                raw_usage: raw_usage.clone(),
                text_bytes: text.map_or(0, str::len),
                model: model.clone(),
                cost,
                cost_source: CostSource::of_reported(cost),
            }),
            false => failure,
        };
        if at(&fields.failed).is_some_and(|failed| !matches!(failed, Value::Null | Value::Bool(false))) {
            let what: String = text.unwrap_or("it does not say why").chars().take(400).collect();
            let what = format!("{key}: it says that it failed: {what}");
            return Err(failed(Failure::new(FailureKind::PlatformFailure, what)));
        }
        let Some(text) = text else {
            return Err(failed(malformed(format!("its output has no text at `{}`", fields.text))));
        };
        Ok(Answer { text: text.to_owned(), model, usage, cost, raw_usage })
    }
}
