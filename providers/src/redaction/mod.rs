//! Keeps what nobody outside may see from leaving for a platform: secrets, e-mail addresses, telephone and card
//! numbers, bank accounts, national ids, and what an administrator's patterns describe.
//!
//! What is found is replaced by a placeholder such as `[EMAIL_1]`, the same for the same value, so that a model can
//! still tell two people apart; on the way back the placeholders become what they stood for. Numbers count only when
//! their check digits are right, so that an order number is not taken for a card. Nothing here logs or stores: what
//! was masked is told by kind and count, and the values live in the [`Vault`] of one request.

mod checksum;
mod detect;
mod unmask;

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;

pub use detect::Kind;
pub use unmask::Unmasker;

use crate::{Message, Request};

/// What is masked and what is refused.
#[derive(Debug, Clone)]
pub struct Redactor {
    kinds: Vec<Kind>,
    allowed: Vec<Regex>,
    custom: Vec<(String, Regex)>,
    denied: Vec<(String, Regex)>,
}

/// Why a request may not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the request holds what the pattern `{0}` forbids to send to a platform")]
pub struct Denied(
    /// The pattern's name.
    pub String,
);

/// A pattern that is none.
#[derive(Debug, thiserror::Error)]
#[error("pattern `{name}` is no regular expression: {error}")]
pub struct InvalidPattern {
    name: String,
    error: regex::Error,
}

impl Redactor {
    /// Masks these kinds.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut kinds: Vec<Kind> = kinds.into_iter().collect();
        kinds.sort_unstable();
        kinds.dedup();
        Self { kinds, allowed: Vec::new(), custom: Vec::new(), denied: Vec::new() }
    }

    /// Masks every kind.
    #[must_use]
    pub fn all() -> Self {
        Self::new(Kind::ALL)
    }

    /// Never masks what this pattern matches as a whole, such as addresses of the own domain.
    ///
    /// # Errors
    /// When it is no pattern.
    pub fn allow(mut self, pattern: &str) -> Result<Self, InvalidPattern> {
        self.allowed.push(compile("allow", &format!("^(?:{pattern})$"))?);
        Ok(self)
    }

    /// Masks what this pattern matches, under this name.
    ///
    /// # Errors
    /// When it is no pattern.
    pub fn mask(mut self, name: &str, pattern: &str) -> Result<Self, InvalidPattern> {
        self.custom.push((label(name), compile(name, pattern)?));
        Ok(self)
    }

    /// Refuses requests in which this pattern matches anything.
    ///
    /// # Errors
    /// When it is no pattern.
    pub fn deny(mut self, name: &str, pattern: &str) -> Result<Self, InvalidPattern> {
        self.denied.push((name.to_owned(), compile(name, pattern)?));
        Ok(self)
    }

    /// Masks every text of a request.
    ///
    /// # Errors
    /// When a text matches a pattern that forbids it.
    pub fn request(&self, request: &mut Request) -> Result<Vault, Denied> {
        let mut texts: Vec<&mut String> = request.system.iter_mut().chain([&mut request.user]).collect();
        for turn in &mut request.turns {
            match turn {
                Message::User { text, .. } => texts.push(text),
                Message::Assistant { text, tool_calls, .. } => {
                    texts.push(text);
                    texts.extend(tool_calls.iter_mut().map(|call| &mut call.arguments));
                }
                Message::ToolResult { content, .. } => texts.push(content),
            }
        }
        for text in &texts {
            self.check(text)?;
        }
        let mut vault = Vault::for_texts(texts.iter().map(|text| text.as_str()));
        for text in texts {
            *text = self.hide(text, &mut vault);
        }
        Ok(vault)
    }

    /// Masks one text.
    ///
    /// # Errors
    /// When it matches a pattern that forbids it.
    pub fn text(&self, text: &str) -> Result<(String, Vault), Denied> {
        self.check(text)?;
        let mut vault = Vault::for_texts([text]);
        let masked = self.hide(text, &mut vault);
        Ok((masked, vault))
    }

    fn check(&self, text: &str) -> Result<(), Denied> {
        match self.denied.iter().find(|(_, pattern)| pattern.is_match(text)) {
            Some((name, _)) => Err(Denied(name.clone())),
            None => Ok(()),
        }
    }

    fn hide(&self, text: &str, vault: &mut Vault) -> String {
        let custom = self.custom.iter().flat_map(|(name, pattern)| {
            pattern
                .find_iter(text)
                .map(move |found| (found.range(), name.clone()))
                .filter(|(range, _)| !range.is_empty())
        });
        let found = detect::find(text, &self.kinds).into_iter().map(|(range, kind)| (range, kind.label().to_owned()));
        let mut found: Vec<_> = custom.chain(found).collect();
        // Where several overlap, the one that begins first wins, and of those the longest.
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for (range, name) in found {
            let (Some(before), Some(value)) = (text.get(done..range.start), text.get(range.clone())) else {
                continue;
            };
            if self.allowed.iter().any(|pattern| pattern.is_match(value)) {
                continue;
            }
            masked.push_str(before);
            masked.push_str(&vault.placeholder(&name, value));
            done = range.end;
        }
        masked.push_str(text.get(done..).unwrap_or_default());
        masked
    }
}

fn compile(name: &str, pattern: &str) -> Result<Regex, InvalidPattern> {
    Regex::new(pattern).map_err(|error| InvalidPattern { name: name.to_owned(), error })
}

/// A name as it stands in placeholders: capitals, digits and `_`.
fn label(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let label: String = name.chars().map(upper).collect();
    if label.is_empty() { "CUSTOM".to_owned() } else { label }
}

/// What the placeholders of one request stand for.
#[derive(Clone, Default)]
pub struct Vault {
    /// Stands before every name, so that no placeholder is in the texts already.
    prefix: String,
    /// Placeholder, value and how often it was masked.
    entries: Vec<(String, String, u32)>,
    kinds: BTreeMap<String, u32>,
    counts: BTreeMap<String, u32>,
}

impl Vault {
    fn for_texts<'a>(texts: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        let taken = |prefix: &str| {
            let opening = format!("[{prefix}");
            let mut texts = texts.clone().into_iter();
            texts.any(|text| text.match_indices(&opening).any(|(at, _)| looks_like_placeholder(text, at)))
        };
        let mut prefix = String::new();
        let mut number = 1;
        while taken(&prefix) {
            prefix = format!("M{number}_");
            number += 1;
        }
        Self { prefix, ..Self::default() }
    }

    fn placeholder(&mut self, name: &str, value: &str) -> String {
        *self.counts.entry(name.to_owned()).or_default() += 1;
        let opening = format!("[{}{name}_", self.prefix);
        let known = self.entries.iter_mut().find(|(known, held, _)| held == value && known.starts_with(&opening));
        if let Some((placeholder, _, count)) = known {
            *count += 1;
            return placeholder.clone();
        }
        let number = self.kinds.entry(name.to_owned()).or_default();
        *number += 1;
        let placeholder = format!("{opening}{number}]");
        self.entries.push((placeholder.clone(), value.to_owned(), 1));
        placeholder
    }

    /// How much of what was masked; this may be recorded.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u32> {
        &self.counts
    }

    /// Whether nothing was masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The text with every placeholder replaced by what it stands for.
    #[must_use]
    pub fn unmask(&self, text: &str) -> String {
        let mut unmasker = self.unmasker();
        let mut whole = unmasker.push(text);
        whole.push_str(&unmasker.finish());
        whole
    }

    /// The same for a text that comes in pieces.
    #[must_use]
    pub fn unmasker(&self) -> Unmasker<'_> {
        Unmasker::new(self)
    }

    /// The same for values that are put back into JSON text, within its strings.
    #[must_use]
    pub fn for_json(&self) -> Self {
        let escaped = |value: &str| {
            let quoted = serde_json::Value::from(value).to_string();
            let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            inner.map_or_else(|| value.to_owned(), str::to_owned)
        };
        let entries = self.entries.iter();
        let entries =
            entries.map(|(placeholder, value, count)| (placeholder.clone(), escaped(value), *count)).collect();
        Self { entries, ..self.clone() }
    }

    /// What a placeholder stands for.
    fn value(&self, placeholder: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _, _)| known == placeholder).map(|(_, value, _)| value.as_str())
    }

    /// How long placeholders are at most.
    fn longest(&self) -> usize {
        self.entries.iter().map(|(placeholder, _, _)| placeholder.len()).max().unwrap_or(0)
    }
}

/// `[NAME_1]` beginning at `at`.
fn looks_like_placeholder(text: &str, at: usize) -> bool {
    let Some(inside) = text.get(at + 1..).and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside) else {
        return false;
    };
    let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    inside.rsplit_once('_').is_some_and(|(label, number)| {
        label.chars().all(name) && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Shows kinds and counts only.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("counts", &self.counts).finish_non_exhaustive()
    }
}
