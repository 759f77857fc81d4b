//! Saved searches.

use std::sync::Arc;

use domain::search::{SavedSearch, SearchList};
use domain::{Event, SearchEvent};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{actor, json, text, timestamp};

pub(super) fn event() -> BoxedStrategy<Event> {
    let list = select(vec![
        SearchList::Runs,
        SearchList::Tasks,
        SearchList::Attempts,
        SearchList::Workflows,
        SearchList::Agents,
        SearchList::Templates,
        SearchList::Approvals,
        SearchList::Texts,
    ]);
    let search = (text(), list, json(), option::of(text()), any::<bool>(), text()).prop_map(
        |(name, list, filter, order, reversed, words)| SavedSearch {
            name,
            list,
            filter: Arc::new(filter),
            order,
            reversed,
            words,
        },
    );
    prop_oneof![
        (search, actor(), timestamp()).prop_map(|(search, by, at)| SearchEvent::Saved {
            search: Box::new(search),
            by,
            at
        }),
        text().prop_map(|name| SearchEvent::Deleted { name }),
    ]
    .prop_map(Event::from)
    .boxed()
}
