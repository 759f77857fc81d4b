use std::collections::VecDeque;

use serde_json::Value;

use super::Answer;
use crate::{Consumed, CostSource, Failure, Finish, Opaque, Tier, ToolCall, Usage};

/// An answer as far as it has come.
#[derive(Debug)]
pub struct Draft {
    limit: usize,
    size: usize,
    text: String,
    pieces: VecDeque<String>,
    calls: Vec<(u64, ToolCall)>,
    /// Why it ended, once told.
    pub finish: Option<Finish>,
    /// The model, once it has named itself.
    pub model: Option<String>,
    /// The platform's account of the usage.
    pub usage: Option<Value>,
    /// The tier that the answer was served at, where it is told beside the usage.
    pub tier: Option<Tier>,
    /// What the platform charged, in billionths of a US dollar.
    pub cost: Option<i64>,
    /// What the platform wants back.
    pub opaque: Option<Opaque>,
}

impl Draft {
    /// An empty one that takes at most `limit` bytes of text and arguments.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            size: 0,
            text: String::new(),
            pieces: VecDeque::new(),
            calls: Vec::new(),
            finish: None,
            model: None,
            usage: None,
            tier: None,
            cost: None,
            opaque: None,
        }
    }

    /// The text so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Takes more text.
    ///
    /// # Errors
    /// When the answer outgrows its limit.
    pub fn say(&mut self, piece: &str) -> Result<(), Failure> {
        if piece.is_empty() {
            return Ok(());
        }
        self.grow(piece.len())?;
        self.text.push_str(piece);
        self.pieces.push_back(piece.to_owned());
        Ok(())
    }

    /// The call at a place of the answer, made when it is new. Parts of one call name the same place.
    pub fn call(&mut self, place: u64) -> &mut ToolCall {
        let index = match self.calls.iter().position(|(known, _)| *known == place) {
            Some(index) => index,
            None => {
                let call = ToolCall { id: String::new(), name: String::new(), arguments: String::new() };
                self.calls.push((place, call));
                self.calls.len() - 1
            }
        };
        #[expect(clippy::indexing_slicing, reason = "found or pushed just now")]
        &mut self.calls[index].1
    }

    /// Takes more of the arguments of the call at a place.
    ///
    /// # Errors
    /// When the answer outgrows its limit.
    pub fn argue(&mut self, place: u64, piece: &str) -> Result<(), Failure> {
        self.grow(piece.len())?;
        self.call(place).arguments.push_str(piece);
        Ok(())
    }

    /// Takes an account of the usage that covers what was known before, figure by figure.
    pub fn account(&mut self, fresh: Option<&Value>) {
        let Some(Value::Object(fresh)) = fresh else {
            return;
        };
        let mut usage = match self.usage.take() {
            Some(Value::Object(usage)) => usage,
            _ => serde_json::Map::new(),
        };
        for (name, value) in fresh.iter().filter(|(_, value)| !value.is_null()) {
            usage.insert(name.clone(), value.clone());
        }
        self.usage = Some(Value::Object(usage));
    }

    /// Whether a tool is to be called.
    #[must_use]
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Counts `bytes` of what is held towards the limit.
    ///
    /// # Errors
    /// When the answer outgrows its limit.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.size = self.size.saturating_add(bytes);
        if self.size > self.limit { Err(too_large(self.limit)) } else { Ok(()) }
    }

    /// The next piece of text that was not handed on yet, never empty.
    pub fn piece(&mut self) -> Option<String> {
        self.pieces.pop_front()
    }

    /// What was used so far.
    #[must_use]
    pub fn consumed(&self, usage: impl Fn(&Value) -> Usage) -> Consumed {
        Consumed {
            usage: self.meaning(usage),
            raw_usage: self.usage.clone(),
            text_bytes: self.text.len(),
            model: self.model.clone(),
            cost: self.cost,
            cost_source: CostSource::of_reported(self.cost),
        }
    }

    /// The whole answer, when what was read of it made sense.
    ///
    /// # Errors
    /// When it did not, or as for [`complete`](Self::complete); the failure tells what was used.
    pub fn conclude(self, read: Result<(), Failure>, usage: impl Fn(&Value) -> Usage) -> Result<Answer, Failure> {
        match read {
            Ok(()) => self.complete(usage),
            Err(failure) => Err(failure.with_consumed(self.consumed(usage))),
        }
    }

    fn meaning(&self, usage: impl Fn(&Value) -> Usage) -> Usage {
        let usage = self.usage.as_ref().map(usage).unwrap_or_default();
        Usage { tier: usage.tier.or(self.tier), ..usage }
    }

    /// The whole answer.
    ///
    /// # Errors
    /// When it does not say why it ended; the failure tells what was used.
    pub fn complete(self, usage: impl Fn(&Value) -> Usage) -> Result<Answer, Failure> {
        let Some(finish) = self.finish.clone() else {
            let failure = Failure::malformed("the answer does not say why it ended");
            return Err(failure.with_consumed(self.consumed(usage)));
        };
        let usage = self.meaning(usage);
        let tool_calls = self.calls.into_iter().map(|(_, mut call)| {
            // A tool without parameters may be called without any arguments.
            if call.arguments.is_empty() {
                call.arguments.push_str("{}");
            }
            call
        });
        Ok(Answer {
            text: self.text,
            finish,
            model: self.model,
            tool_calls: tool_calls.collect(),
            usage,
            cost: self.cost,
            raw_usage: self.usage,
            opaque: self.opaque,
        })
    }
}

/// An answer that outgrew `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Failure {
    Failure::malformed(format!("the answer is larger than the {limit} bytes that are accepted"))
}
