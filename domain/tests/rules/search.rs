//! Saved searches.

use std::sync::Arc;

use cqrs_es::test::TestFramework;
use domain::search::{MAX_SEARCHES, SavedSearch, SearchList};
use domain::{Actor, Decide, Refusal, SearchCommand, SearchEvent, SearchRefusal, Searches, SearchesId, Timestamp};
use serde_json::json;

fn search(name: &str) -> SavedSearch {
    SavedSearch {
        name: name.to_owned(),
        list: SearchList::Runs,
        filter: Arc::new(json!({ "statuses": ["FAILED"] })),
        order: Some("COST".to_owned()),
        reversed: false,
        words: String::new(),
    }
}

fn save(search: SavedSearch) -> SearchCommand {
    SearchCommand::Save { search: Box::new(search), by: Actor::person("ada"), now: Timestamp::from_micros(7) }
}

fn saved(search: SavedSearch) -> SearchEvent {
    SearchEvent::Saved { search: Box::new(search), by: Actor::person("ada"), at: Timestamp::from_micros(7) }
}

#[test]
fn a_search_is_saved_changed_and_deleted() {
    let given = |events: Vec<SearchEvent>| TestFramework::<Searches>::with(()).given(events);
    let changed = SavedSearch { reversed: true, ..search("dear failures") };
    let delete = || SearchCommand::Delete { name: "dear failures".to_owned() };
    let deleted = || SearchEvent::Deleted { name: "dear failures".to_owned() };
    let known = || saved(search("dear failures"));
    given(vec![]).when(save(search("dear failures"))).then_expect_events(vec![known()]);
    given(vec![known()]).when(save(search("dear failures"))).then_expect_events(vec![]);
    given(vec![known()]).when(save(changed.clone())).then_expect_events(vec![saved(changed)]);
    given(vec![known()]).when(delete()).then_expect_events(vec![deleted()]);
    for history in [vec![], vec![known(), deleted()]] {
        let refusal = SearchRefusal::NotFound("dear failures".to_owned());
        assert_eq!(refusal.code(), "SEARCH_NOT_FOUND");
        given(history).when(delete()).then_expect_error(refusal);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let texts = SavedSearch { list: SearchList::Texts, words: "rent".to_owned(), order: None, ..search("x") };
    Searches::default().decide(save(texts.clone())).unwrap();
    for wrong in [
        search(""),
        search(" padded"),
        search("two\nlines"),
        search(&"x".repeat(101)),
        SavedSearch { filter: Arc::new(json!([1])), ..search("x") },
        SavedSearch { filter: Arc::new(json!({ "text": "x".repeat(20_000) })), ..search("x") },
        SavedSearch { order: Some(String::new()), ..search("x") },
        SavedSearch { words: "rent".to_owned(), ..search("x") },
        SavedSearch { words: " ".to_owned(), ..texts.clone() },
        SavedSearch { words: "x".repeat(501), ..texts.clone() },
        SavedSearch { reversed: true, ..texts },
    ] {
        let refusal = Searches::default().decide(save(wrong.clone())).unwrap_err();
        assert_eq!(refusal.code(), "SEARCH_INVALID", "{wrong:?}");
    }
}

#[test]
fn there_is_an_end_to_how_many_there_are() {
    let full = (0..MAX_SEARCHES).map(|n| saved(search(&format!("number {n}")))).collect();
    let refusal = SearchRefusal::Invalid(format!("you have {MAX_SEARCHES} already; delete one first"));
    let framework = TestFramework::<Searches>::with(()).given(full);
    framework.when(save(search("one more"))).then_expect_error(refusal);
}

#[test]
fn everybody_has_a_book_of_their_own() {
    let of = |kind: domain::ActorKind, id: &str| SearchesId::of("default", &Actor { kind, id: id.to_owned() });
    use domain::ActorKind::{ApiKey, Person};
    assert_eq!(of(Person, "ada"), of(Person, "ada"));
    assert_ne!(of(Person, "ada"), of(Person, "bob"));
    assert_ne!(of(Person, "ada"), of(ApiKey, "ada"));
}
