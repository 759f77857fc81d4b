use super::{SearchCommand, SearchEvent, Searches};
use crate::Refusal;

/// The most searches that one caller may have.
pub const MAX_SEARCHES: usize = 200;

/// Why saved searches refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchRefusal {
    /// There is none.
    #[error("you have no saved search `{0}`")]
    NotFound(String),
    /// It cannot be so.
    #[error("the search cannot be saved: {0}")]
    Invalid(String),
}

impl Refusal for SearchRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "SEARCH_NOT_FOUND",
            Self::Invalid(_) => "SEARCH_INVALID",
        }
    }
}

pub(super) fn decide(state: &Searches, command: SearchCommand) -> Result<Vec<SearchEvent>, SearchRefusal> {
    match command {
        SearchCommand::Save { search, by, now } => {
            search.check()?;
            match state.get(&search.name) {
                Some(known) if known.search == *search => return Ok(vec![]),
                None if state.iter().len() >= MAX_SEARCHES => {
                    let what = format!("you have {MAX_SEARCHES} already; delete one first");
                    return Err(SearchRefusal::Invalid(what));
                }
                _ => {}
            }
            Ok(vec![SearchEvent::Saved { search, by, at: now }])
        }
        SearchCommand::Delete { name } => match state.get(&name) {
            Some(_) => Ok(vec![SearchEvent::Deleted { name }]),
            None => Err(SearchRefusal::NotFound(name.chars().take(super::MAX_NAME).collect())),
        },
    }
}
