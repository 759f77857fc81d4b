//! Saved searches.

use domain::search::{SavedSearch, SearchList};
use domain::{Actor, Event, SearchEvent};
use serde_json::json;

use super::{moment, reason};

fn saved(search: SavedSearch) -> Event {
    SearchEvent::Saved { search: Box::new(search), by: Actor::person("ada"), at: moment(3) }.into()
}

fn search(list: SearchList) -> SavedSearch {
    SavedSearch {
        name: reason(),
        list,
        filter: json!({ "statuses": ["FAILED"], "workflow": "welcome" }).into(),
        order: Some("COST".to_owned()),
        reversed: true,
        words: String::new(),
    }
}

/// As much as each event can hold.
pub(super) fn full() -> Vec<Event> {
    vec![saved(search(SearchList::Runs)), SearchEvent::Deleted { name: reason() }.into()]
}

/// As little as each event can hold.
pub(super) fn bare() -> Vec<Event> {
    let nothing = SavedSearch {
        name: "x".to_owned(),
        list: SearchList::Tasks,
        filter: json!({}).into(),
        order: None,
        reversed: false,
        words: String::new(),
    };
    vec![saved(nothing), SearchEvent::Deleted { name: "x".to_owned() }.into()]
}

/// Every list that can be searched.
pub(super) fn variants() -> Vec<(String, Event)> {
    let case = |name: &str, event| (name.to_owned(), event);
    vec![
        case("attempts", saved(search(SearchList::Attempts))),
        case("workflows", saved(search(SearchList::Workflows))),
        case("agents", saved(search(SearchList::Agents))),
        case("templates", saved(search(SearchList::Templates))),
        case("approvals", saved(search(SearchList::Approvals))),
        case("texts", saved(SavedSearch { words: "rent OR عقد".to_owned(), ..search(SearchList::Texts) })),
    ]
}
