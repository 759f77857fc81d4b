//! Frozen events of saved searches.

use std::sync::Arc;

use domain::search::{SavedSearch, SearchList};
use domain::{Event, SearchEvent};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use super::values::{ActorV1, JsonV1, moment};
use super::{Encoded, Thaw, write};

/// What is searched.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
enum SearchListV1 {
    Runs,
    Tasks,
    Attempts,
    Workflows,
    Agents,
    Templates,
    Approvals,
    Texts,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct SavedV1<'a> {
    name: &'a str,
    list: SearchListV1,
    #[serde(borrow)]
    filter: JsonV1<'a>,
    order: Option<&'a str>,
    reversed: bool,
    words: &'a str,
    #[serde(borrow)]
    by: ActorV1<'a>,
    at_micros: i64,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DeletedV1<'a> {
    name: &'a str,
}

pub(super) fn freeze(event: &SearchEvent) -> Result<Encoded, String> {
    match event {
        SearchEvent::Saved { search, by, at } => {
            let SavedSearch { name, list, filter, order, reversed, words } = &**search;
            write(&SavedV1 {
                name,
                list: SearchListV1::freeze(*list),
                filter: JsonV1::freeze(filter)?,
                order: order.as_deref(),
                reversed: *reversed,
                words,
                by: ActorV1::freeze(by),
                at_micros: at.as_micros(),
            })
        }
        SearchEvent::Deleted { name } => write(&DeletedV1 { name }),
    }
}

impl SearchListV1 {
    const fn freeze(list: SearchList) -> Self {
        match list {
            SearchList::Runs => Self::Runs,
            SearchList::Tasks => Self::Tasks,
            SearchList::Attempts => Self::Attempts,
            SearchList::Workflows => Self::Workflows,
            SearchList::Agents => Self::Agents,
            SearchList::Templates => Self::Templates,
            SearchList::Approvals => Self::Approvals,
            SearchList::Texts => Self::Texts,
        }
    }

    const fn thaw(self) -> SearchList {
        match self {
            Self::Runs => SearchList::Runs,
            Self::Tasks => SearchList::Tasks,
            Self::Attempts => SearchList::Attempts,
            Self::Workflows => SearchList::Workflows,
            Self::Agents => SearchList::Agents,
            Self::Templates => SearchList::Templates,
            Self::Approvals => SearchList::Approvals,
            Self::Texts => SearchList::Texts,
        }
    }
}

impl Thaw for SavedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let search = SavedSearch {
            name: self.name.to_owned(),
            list: self.list.thaw(),
            filter: Arc::new(self.filter.thaw()?),
            order: self.order.map(str::to_owned),
            reversed: self.reversed,
            words: self.words.to_owned(),
        };
        let (by, at) = (self.by.thaw(), moment(self.at_micros));
        Ok(SearchEvent::Saved { search: Box::new(search), by, at }.into())
    }
}

impl Thaw for DeletedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(SearchEvent::Deleted { name: self.name.to_owned() }.into())
    }
}
