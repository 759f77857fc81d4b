use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SearchRefusal;

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;
/// The most bytes that a filter may have as JSON.
pub const MAX_FILTER: usize = 16 * 1024;
/// The most characters of words that are looked for.
pub const MAX_WORDS: usize = 500;
/// The longest name of an order, in bytes.
const MAX_ORDER: usize = 64;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchList {
    /// The list of runs.
    Runs,
    /// The list of tasks.
    Tasks,
    /// The list of attempts.
    Attempts,
    /// The list of workflows.
    Workflows,
    /// The list of agents.
    Agents,
    /// The list of templates.
    Templates,
    /// The list of open approvals.
    Approvals,
    /// The texts of everything.
    Texts,
}

/// What somebody looks for again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// Its name, unique among those of its owner.
    pub name: String,
    /// What is searched.
    pub list: SearchList,
    /// Which entries are wanted, an object in the words of the API.
    pub filter: Arc<Value>,
    /// In which order they come, in the words of the API; `None` takes the usual one.
    pub order: Option<String>,
    /// Whether the order is turned around.
    pub reversed: bool,
    /// The words that are looked for in texts; empty for lists.
    pub words: String,
}

impl SavedSearch {
    /// Whether it can be. Whether the API knows its words is asked elsewhere.
    pub(super) fn check(&self) -> Result<(), SearchRefusal> {
        let invalid = |what: String| Err(SearchRefusal::Invalid(what));
        let length = self.name.chars().count();
        if self.name.trim() != self.name || length == 0 || length > MAX_NAME {
            return invalid(format!("`name` must have 1 to {MAX_NAME} characters, without spaces around them"));
        }
        if self.name.chars().any(char::is_control) {
            return invalid("`name` must have no control characters".to_owned());
        }
        if !self.filter.is_object() {
            return invalid("`filter` must be an object".to_owned());
        }
        let bytes = self.filter.to_string().len();
        if bytes > MAX_FILTER || crate::check_size(&self.filter).is_err() {
            return invalid(format!("`filter` has {bytes} bytes as JSON; it must have at most {MAX_FILTER}"));
        }
        if self.order.as_ref().is_some_and(|order| order.is_empty() || order.len() > MAX_ORDER) {
            return invalid(format!("`orderBy` must have 1 to {MAX_ORDER} bytes"));
        }
        match (self.list, self.words.trim().is_empty()) {
            (SearchList::Texts, true) => invalid("`words` must say what is looked for in texts".to_owned()),
            (SearchList::Texts, false) if self.order.is_some() || self.reversed => {
                invalid("what is found in texts comes by how well it fits, in no other order".to_owned())
            }
            (SearchList::Texts, false) if self.words.chars().count() > MAX_WORDS => {
                invalid(format!("`words` may have {MAX_WORDS} characters at most"))
            }
            (list, false) if list != SearchList::Texts => {
                invalid("`words` are looked for in texts only; give a list's text in its `filter`".to_owned())
            }
            _ => Ok(()),
        }
    }
}
